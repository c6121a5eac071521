"""Both clients behind one face, so that one test tries both: the one for asyncio runs on an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from pasarela_client import AsyncDetectionStream, AsyncDetector, Detections, DetectionStream, Detector, FrameError
from pasarela_client.streaming.counts import StreamCounts

T = TypeVar("T")
Kind = Literal["sync", "aio"]
KINDS: tuple[Kind, ...] = ("sync", "aio")


class _Loop:
    """An event loop on a thread; `close` fails if a task is left on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop")
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def tasks(self) -> list[str]:
        async def names() -> list[str]:
            return [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]

        return self.run(names())

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class BlockingStream:
    """An `AsyncDetectionStream` with the methods of a `DetectionStream`."""

    def __init__(self, stream: AsyncDetectionStream, loop: _Loop) -> None:
        self._stream = stream
        self._loop = loop

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Detections | FrameError:
        try:
            return self._loop.run(_next(self._stream))
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        self._loop.run(self._stream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run(self._stream.__aexit__(kind, error, trace))

    def close(self) -> None:
        self._loop.run(self._stream.aclose())

    @property
    def counts(self) -> StreamCounts:
        return self._stream.counts

    @property
    def lag_frames(self) -> int:
        return self._stream.lag_frames

    @property
    def lag_s(self) -> float:
        return self._stream.lag_s


async def _next(stream: AsyncDetectionStream) -> Detections | FrameError:
    return await anext(stream)


class BlockingDetector:
    """An `AsyncDetector` with the methods of a `Detector`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.loop = _Loop()
        self._detector = AsyncDetector(*arguments, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.loop.loop.is_closed():
            self.loop.run(self._detector.close())

    def stop(self) -> None:
        self.close()
        if not self.loop.loop.is_closed():
            self.loop.close()

    def detect_stream(self, frames: Any, **options: Any) -> BlockingStream:
        return BlockingStream(self._detector.detect_stream(frames, **options), self.loop)


AnyDetector = Detector | BlockingDetector
AnyStream = DetectionStream | BlockingStream
