"""Leaving a stream: promptly, whoever blocks, and with nothing left behind."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from pasarela_client import Detections
from tests.driven import Driven
from tests.unit.client.streaming.servers import PATIENCE_S, Answers, Frames, Port, answer

Open = Callable[..., Any]
OpenPort = Callable[..., Port]


def answers_once(frames: Frames, context: grpc.ServicerContext) -> Answers:
    """Answers the first frame and goes on reading, also when the frames are over."""
    yield answer(next(frames))
    for _ in frames:
        pass


class Blocks:
    """Gives one image, and then nothing until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"first"
        self.asked.set()
        self.let_go.wait(2 * PATIENCE_S)


def test_a_source_that_blocks_holds_nobody(open_detector: Open, open_port: OpenPort) -> None:
    source = Blocks()
    port = open_port()
    detector = open_detector(port.url)
    with detector.detect_stream(source) as results:
        assert isinstance(next(results), Detections)
        assert source.asked.wait(PATIENCE_S)
    assert port.service.over.wait(PATIENCE_S), "the call ended while the source was still blocked"
    assert not source.let_go.is_set()
    assert list(results) == []
    source.let_go.set()


def test_a_server_that_never_answers_holds_nobody(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(answers_once)
    with open_detector(port.url).detect_stream(itertools.repeat(b"jpeg"), timeout_s=None) as results:
        assert isinstance(next(results), Detections)
    assert port.service.over.wait(PATIENCE_S)
    assert results.counts.pending == 0
    assert results.counts.lost == results.counts.pulled - 1


def test_an_exception_in_the_block_leaves_the_stream(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(answers_once)
    with (
        pytest.raises(ZeroDivisionError),
        open_detector(port.url).detect_stream(itertools.repeat(b"jpeg")) as results,
    ):
        next(results)
        raise ZeroDivisionError
    assert port.service.over.wait(PATIENCE_S)


def test_a_stream_that_nobody_holds_any_more_ends(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(answers_once)
    detector = open_detector(port.url)
    results = detector.detect_stream(itertools.repeat(b"jpeg"))
    next(results)
    del results
    gc.collect()
    assert port.service.over.wait(PATIENCE_S)


def test_leaving_a_stream_that_never_began_asks_nobody(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    with open_detector(port.url).detect_stream([b"jpeg"]) as results:
        pass
    assert list(results) == []
    assert port.service.count == 0


def test_leaving_twice_and_leaving_what_is_over_is_harmless(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    with open_detector(port.url).detect_stream([b"jpeg"]) as results:
        assert len(list(results)) == 1
        results.close()
    results.close()
    assert results.counts.done == 1


def test_leaving_an_outage_is_prompt(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port(answers_once)
    left = threading.Event()
    detector = open_detector(port.url)

    def use() -> None:
        with detector.detect_stream(itertools.repeat(b"jpeg"), reconnect_s=1000) as results:
            next(results)
            port.stop()
        left.set()

    threading.Thread(target=use, daemon=True).start()
    assert left.wait(PATIENCE_S)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, and the folder changes while it is read


def settled(count: Callable[[], int], limit: int) -> int:
    """The count when it has come down to the limit, or when that took too long."""
    until = time.monotonic() + PATIENCE_S
    while (now := count()) > limit and time.monotonic() < until:
        time.sleep(0.02)
    return now


def threads() -> int:
    """Those of streams and of gRPC; the pools of the servers and of the event loop grow up to a limit of their own."""
    pools = ("ThreadPoolExecutor", "asyncio_")
    return sum(not thread.name.startswith(pools) for thread in threading.enumerate())


def test_fifty_streams_leave_nothing_behind(open_detector: Open, open_port: OpenPort) -> None:
    port = open_port()
    detector = open_detector(port.url)

    def use(leave_at: int) -> None:
        with detector.detect_stream(itertools.repeat(b"jpeg", 6), window=3) as results:
            for _ in itertools.islice(results, leave_at):
                pass

    use(6)
    descriptors_before, threads_before = descriptors(), threads()
    for number in range(50):
        use(number % 7)
    assert settled(threads, threads_before) <= threads_before
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("pasarela")]
    assert settled(descriptors, descriptors_before) <= descriptors_before
    if isinstance(detector, Driven):
        assert settled(lambda: len(detector.tasks()), 0) == 0


PROGRAMS = {
    "sync": """
import itertools, sys
from pasarela_client import Detector
with Detector(sys.argv[1]) as detector:
    with detector.detect_stream(itertools.repeat(b"jpeg"), timeout_s=None) as results:
        for _ in results:
            print("ready", flush=True)
""",
    "aio": """
import asyncio, itertools, sys
from pasarela_client import AsyncDetector
async def main():
    async with AsyncDetector(sys.argv[1]) as detector:
        async with detector.detect_stream(itertools.repeat(b"jpeg"), timeout_s=None) as results:
            async for _ in results:
                print("ready", flush=True)
asyncio.run(main())
""",
    "sync without a block": """
import itertools, sys
from pasarela_client import Detector
detector = Detector(sys.argv[1])
for _ in detector.detect_stream(itertools.repeat(b"jpeg"), timeout_s=None):
    print("ready", flush=True)
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_ctrl_c_ends_the_program(open_port: OpenPort, program: str) -> None:
    """One answer came, the next never does: Ctrl-C comes while the program waits for it."""
    port = open_port(answers_once)
    with subprocess.Popen(
        [sys.executable, "-c", program, port.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=3 * PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in told
    assert "Task was destroyed" not in told
    assert "Exception ignored" not in told
    assert port.service.over.wait(PATIENCE_S)


def test_a_frame_that_is_done_is_not_kept_alive(open_detector: Open, open_port: OpenPort) -> None:
    """With a window of one at most one image more is alive than the one that the user holds."""
    port = open_port()
    alive = _Alive()
    with open_detector(port.url).detect_stream(alive.images(30), window=1) as results:
        most = 0
        for result in results:
            assert isinstance(result, Detections)
            most = max(most, alive.count())
            del result
    assert most <= 3
    gc.collect()
    assert alive.count() == 0


class _Alive:
    """Counts images that somebody holds."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def images(self, count: int) -> Iterator[Any]:
        for index in range(count):
            yield _Image(f"image {index}".encode(), self)

    def count(self) -> int:
        return self._count

    def change(self, by: int) -> None:
        with self._lock:
            self._count += by


class _Image(bytearray):
    def __init__(self, content: bytes, alive: _Alive) -> None:
        super().__init__(content)
        self._alive = alive
        alive.change(1)

    def __del__(self) -> None:
        self._alive.change(-1)
