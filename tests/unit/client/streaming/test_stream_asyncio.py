"""What only the client for asyncio can be asked: asynchronous sources, cancelled tasks, several streams on one loop."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from pasarela_client import AsyncDetector, Detections
from tests.unit.client.streaming.servers import PATIENCE_S, Answers, Frames, Port, answer

OpenPort = Callable[..., Port]


def answers_once(frames: Frames, context: grpc.ServicerContext) -> Answers:
    yield answer(next(frames))
    for _ in frames:
        pass


async def camera(count: int) -> AsyncIterator[bytes]:
    for index in range(count):
        await asyncio.sleep(0)
        yield f"image {index}".encode()


async def test_an_asynchronous_source(open_port: OpenPort) -> None:
    port = open_port()
    async with AsyncDetector(port.url) as detector, detector.detect_stream(camera(20), window=3) as results:
        names = [result[0].name async for result in results if isinstance(result, Detections)]
    assert names == [f"image {index}" for index in range(20)]
    assert results.counts.done == 20


async def test_what_an_asynchronous_source_raises_comes_after_the_results_before_it(open_port: OpenPort) -> None:
    class CameraGone(Exception):
        pass

    async def breaks() -> AsyncIterator[bytes]:
        yield b"image 0"
        raise CameraGone

    port = open_port()
    seen = []
    async with AsyncDetector(port.url) as detector:
        stream = detector.detect_stream(breaks())
        seen.append(await anext(stream))
        with pytest.raises(CameraGone):
            await anext(stream)
    assert [result.frame_index for result in seen] == [0]


async def test_leaving_closes_an_asynchronous_source_that_waits(open_port: OpenPort) -> None:
    closed = asyncio.Event()

    async def waits() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.set()

    port = open_port()
    async with AsyncDetector(port.url) as detector:
        async with detector.detect_stream(waits()) as results:
            await anext(results)
        assert closed.is_set()


async def test_a_cancelled_task_leaves_the_stream(open_port: OpenPort) -> None:
    port = open_port(answers_once)
    answered = asyncio.Event()

    async def use() -> None:
        detector = AsyncDetector(port.url)
        async with detector, detector.detect_stream(itertools.repeat(b"jpeg")) as results:
            async for _ in results:
                answered.set()

    task = asyncio.create_task(use())
    await answered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(port.service.over.wait, PATIENCE_S)
    assert [one.get_name() for one in asyncio.all_tasks() if one.get_name().startswith("pasarela")] == []


async def test_who_waits_only_for_a_while_loses_no_result(open_port: OpenPort) -> None:
    go_on = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"image 0"
        await go_on.wait()
        yield b"image 1"

    port = open_port()
    async with AsyncDetector(port.url) as detector, detector.detect_stream(source()) as results:
        first = await anext(results)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(results), 0.05)
        go_on.set()
        second = await anext(results)
    assert [first.frame_index, second.frame_index] == [0, 1]
    assert results.counts.done == 2


async def test_several_streams_share_a_detector_and_a_loop(open_port: OpenPort) -> None:
    port = open_port()

    async def use(detector: AsyncDetector) -> list[int | None]:
        return [result.frame_index async for result in detector.detect_stream(camera(10), window=2)]

    async with AsyncDetector(port.url) as detector:
        seen = await asyncio.gather(*(use(detector) for _ in range(4)))
    assert seen == [list(range(10))] * 4


async def test_a_source_that_takes_its_time_keeps_nobody_from_working(open_port: OpenPort) -> None:
    """The source is let go by the event loop, so it cannot run on it."""
    loop, go_on = asyncio.get_running_loop(), asyncio.Event()

    def blocking() -> Any:
        yield b"image 0"
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(PATIENCE_S)
        yield b"image 1"

    port = open_port()
    async with AsyncDetector(port.url) as detector, detector.detect_stream(blocking()) as results:
        await anext(results)
        go_on.set()
        assert (await anext(results)).frame_index == 1


PROGRAMS = {
    "break": "async for _ in results: break",
    "one and no more": "await anext(results)",
    "never begun": "pass",
}


@pytest.mark.parametrize("use", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_forgets_its_stream_ends_without_a_word(open_port: OpenPort, use: str) -> None:
    port = open_port(answers_once)
    program = f"""
import asyncio, itertools, sys
from pasarela_client import AsyncDetector
async def main():
    detector = AsyncDetector(sys.argv[1])
    results = detector.detect_stream(itertools.repeat(b"jpeg"))
    {use}
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, port.url],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
        cwd=Path(__file__).parents[4],
    )
    assert (ended.returncode, ended.stderr) == (0, "")
