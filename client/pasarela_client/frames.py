"""Frames on their way into a stream, and results on their way out of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pasarela_client.detections import Detections, FrameError
from pasarela_client.errors import PasarelaError, ServerFailure
from pasarela_proto import detection_pb2 as pb

Frame = TypeVar("Frame")
FrameResult = Detections | FrameError
"""What a stream yields for each frame."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame is on its way and wants an answer."""

    frame_index: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """A frame could not even be sent."""

    result: FrameError


@dataclass(frozen=True, slots=True)
class Answered:
    """The server answered a frame."""

    result: FrameResult


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The iterable has no more frames, or raised."""

    frame_count: int
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; no more answers come."""

    error: PasarelaError | None = None


Event = Sent | Unsent | Answered | Exhausted | Ended
EventQueue = queue.SimpleQueue[Event]


class FrameFeed:
    """The requests of a stream: pulls, encodes and counts frames, and waits while too many are without a result.

    An iterator for gRPC's sender thread alone; `finished` and `close` may be called from any thread.
    """

    def __init__(
        self,
        frames: Iterator[Frame],
        encode: Callable[[int, Frame], pb.StreamDetectRequest],
        *,
        window: int,
        events: EventQueue,
    ) -> None:
        self._requests = self._encode_frames(frames, encode)
        self._slots = threading.Semaphore(window)
        self._events = events
        self._closed = False

    def __iter__(self) -> Iterator[pb.StreamDetectRequest]:
        return self

    def __next__(self) -> pb.StreamDetectRequest:
        return next(self._requests)

    def finished(self) -> None:
        """A result was handed out, so one more frame may be pulled."""
        self._slots.release()

    def close(self) -> None:
        """Nothing more is pulled from the iterable, and a sender that waits is woken."""
        self._closed = True
        self._slots.release()

    def _encode_frames(
        self, frames: Iterator[Frame], encode: Callable[[int, Frame], pb.StreamDetectRequest]
    ) -> Iterator[pb.StreamDetectRequest]:
        count = 0
        try:
            while self._may_pull():
                try:
                    frame = next(frames)
                except StopIteration:
                    break
                try:
                    request = encode(count, frame)
                except PasarelaError as error:
                    self._events.put(Unsent(FrameError(count, error)))
                else:
                    self._events.put(Sent(count))
                    yield request
                count += 1
        except BaseException as error:  # noqa: BLE001 - whatever the iterable raises belongs to the user's thread
            self._events.put(Exhausted(count, error))
        else:
            self._events.put(Exhausted(count))

    def _may_pull(self) -> bool:
        if not self._closed:
            self._slots.acquire()
        return not self._closed


class FrameOrder:
    """Puts results that come in any order into the order of their frames."""

    def __init__(self) -> None:
        self.next_index = 0
        """The frame whose result is due."""
        self._waiting: dict[int, FrameResult] = {}

    def add(self, result: FrameResult) -> None:
        """Keeps a result until its turn.

        Raises:
            ServerFailure: The frame was answered already, or is none of this stream.
        """
        index = result.frame_index
        if index is None or index < self.next_index or index in self._waiting:
            raise ServerFailure(f"the server answered frame {index} while frame {self.next_index} was due")
        self._waiting[index] = result

    def take(self) -> FrameResult | None:
        """The result that is due; None while it is missing."""
        result = self._waiting.pop(self.next_index, None)
        if result is not None:
            self.next_index += 1
        return result
