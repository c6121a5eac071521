"""Sources that do not wait: a video of a minute at twice the server's rate, and a user who looks away."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from pasarela_client import Detections, Frame, FrameDropped, FrameError
from pasarela_client.sources import open_source
from tests.unit.client.recordings import numbered, record
from tests.unit.client.streaming.servers import PATIENCE_S, Answers, Frames, Port
from tests.unit.client.streaming.servers import answer as named_answer

Open = Callable[..., Any]
OpenPort = Callable[..., Port]

SECONDS, RATE = 60, 10
WINDOW = 4


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = (numbered(index % 256) for index in range(SECONDS * RATE))
    return record(tmp_path_factory.mktemp("video") / "minute.mp4", pictures, rate=RATE)


class Alive:
    """How many images somebody holds."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def watch(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            weakref.finalize(frame.image, self._gone)
            yield frame
            del frame

    def _gone(self) -> None:
        with self._lock:
            self.now -= 1


class TwiceTheRate:
    """Time as source and server share it: while the server answers one frame the source gives two.

    No clock is asked, so nothing depends on how fast the machine is: either waits for the other. The source is at most
    so many frames ahead as it could give while the server works off a whole window.
    """

    def __init__(self, window: int) -> None:
        self._most_turns = self._turns = 2 * window
        self._given = 0
        self._over = False
        self._changed = threading.Condition()

    def answer_all(self, frames: Frames, context: grpc.ServicerContext) -> Answers:
        for frame in frames:
            with self._changed:
                until = self._given + 2
                assert self._changed.wait_for(
                    lambda until=until: self._given >= until or not self._turns or self._over, PATIENCE_S
                )
            frame.request.image.encoded = b"answered"
            yield named_answer(frame)
            with self._changed:
                self._turns = min(self._most_turns, self._turns + 2)
                self._changed.notify_all()

    def paced(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            with self._changed:
                assert self._changed.wait_for(lambda: self._turns > 0, PATIENCE_S)
                self._turns -= 1
                self._given += 1
                self._changed.notify_all()
            yield frame
            del frame
        with self._changed:
            self._over = True
            self._changed.notify_all()


def test_a_minute_of_video_at_twice_the_servers_rate(open_detector: Open, open_port: OpenPort, video: Path) -> None:
    time, alive = TwiceTheRate(WINDOW), Alive()
    port = open_port(time.answer_all)
    lags, kinds, indices, times = [], [], [], []
    with open_source(video) as source:
        frames = alive.watch(time.paced(source))
        with open_detector(port.url).detect_stream(frames, policy="drop-oldest", window=WINDOW) as results:
            for result in results:
                indices.append(result.frame_index)
                times.append(result.timestamp_s)
                kinds.append("done" if isinstance(result, Detections) else type(result.error).__name__)
                lags.append(results.lag_frames)
                del result
    total = SECONDS * RATE
    assert indices == list(range(total))
    assert times == pytest.approx([index / RATE for index in range(total)], abs=0.01)
    assert set(kinds) == {"done", "FrameDropped"}
    counts = results.counts
    assert (counts.pulled, counts.done, counts.dropped) == (total, kinds.count("done"), kinds.count("FrameDropped"))
    assert (counts.failed, counts.lost, counts.pending) == (0, 0, 0)
    assert counts.sent == counts.done == len(port.service.requests)
    assert total / 3 <= counts.done <= total * 2 / 3, "the server was kept busy, and could answer every second frame"
    assert max(lags) <= 6 * WINDOW, "frames that came while the window was under way, and no more"
    assert alive.most <= WINDOW + 1 + 5, "window, buffer, and what source, encoder and user have in their hands"
    assert port.service.most_under_way <= WINDOW


def test_a_user_who_looks_away_comes_back_to_few_results_and_the_newest_frame(
    open_detector: Open, open_port: OpenPort, video: Path
) -> None:
    alive, over = Alive(), threading.Event()
    port = open_port()

    def frames() -> Iterator[Frame]:
        with open_source(video) as source:
            yield from alive.watch(source)
        over.set()

    with open_detector(port.url).detect_stream(frames(), policy="drop-oldest", window=WINDOW) as results:
        first = next(results)
        assert over.wait(PATIENCE_S)
        assert alive.most <= WINDOW + 1 + 5
        rest = list(results)
    assert [first.frame_index, *(one.frame_index for one in rest)] == list(range(SECONDS * RATE))
    assert isinstance(rest[-1], Detections), "the newest frame was kept for him"
    assert results.counts.done <= 2 * WINDOW + 2
    dropped = next(one for one in rest if isinstance(one, FrameError))
    assert isinstance(dropped.error, FrameDropped)
    assert (dropped.origin, dropped.image) == (str(video), None)


def test_a_user_who_looks_away_holds_a_source_that_can_wait(open_detector: Open, open_port: OpenPort) -> None:
    pulled = 0
    over = threading.Event()

    def frames() -> Iterator[bytes]:
        nonlocal pulled
        for _ in range(50):
            pulled += 1
            yield b"jpeg"
        over.set()

    port = open_port()
    with open_detector(port.url).detect_stream(frames(), window=WINDOW) as results:
        next(results)
        assert not over.wait(0.2)
        assert pulled <= WINDOW + 1
        assert len(list(results)) == 49
    assert results.counts.done == 50
