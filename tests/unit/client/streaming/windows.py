"""A window whose clock and chance are the test's, and short names for what happens to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc

from pasarela_client import Detections, Frame, FrameError, PasarelaError, QueueFull, ServerUnreachable
from pasarela_client.streaming.entry import Sending
from pasarela_client.streaming.rules import StreamRules
from pasarela_client.streaming.window import Window

GONE = ServerUnreachable("nothing answers", status=grpc.StatusCode.UNAVAILABLE)
FULL = QueueFull("the queue is full")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Story:
    """Tells a window what happens, and notes what it hands out."""

    def __init__(self, **rules: Any) -> None:
        self.clock = Clock()
        self.window = Window(StreamRules(**rules), clock=self.clock, chance=lambda: 1.0, model="m", stream_id="s")
        self.call = self.window.begin_call()

    def pull(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.window.has_room()
            self.window.add(Frame(b"jpeg", f"frame {self.window.counts.pulled}", float(self.window.counts.pulled)))

    def send(self) -> list[int]:
        """Sends all that may be sent; their indices."""
        sent: list[Sending] = []
        while (sending := self.window.send(self.call)) is not None:
            sent.append(sending)
        return [one.index for one in sent]

    def answer(self, *indices: int) -> None:
        for index in indices:
            self.window.answer(index, done(index) if self.window.awaited(index) else None)

    def fail(self, index: int, error: PasarelaError) -> None:
        self.window.answer(index, FrameError(index, error))

    def break_call(self) -> None:
        self.window.break_call(GONE)
        self.call = self.window.begin_call()

    def take(self) -> list[str]:
        """All that is handed out now: "0 done", "1 FrameDropped", …"""
        taken = []
        while (result := self.window.take()) is not None:
            taken.append(f"{result.frame_index} {'done' if result.ok else type(result.error).__name__}")
        return taken


def done(index: int) -> Detections:
    return replace(Detections.empty(), frame_index=index, origin=str(index))
