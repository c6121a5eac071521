"""What the user of a stream of frames holds. Dropping it ends the stream: nothing behind it refers to it."""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from pasarela_client.aio.concurrency import AnyIterable
from pasarela_client.aio.endpoints import AsyncEndpoints
from pasarela_client.aio.flow import AsyncFlow
from pasarela_client.frame import Frame
from pasarela_client.images import ImageSource
from pasarela_client.streaming.counts import StreamCounts
from pasarela_client.streaming.requests import StreamRequests
from pasarela_client.streaming.results import FrameResult
from pasarela_client.streaming.rules import StreamRules


class AsyncDetectionStream(AsyncIterator[FrameResult]):
    """Results of a stream of frames, one for each, in their order. It is what `detect_stream` gives.

    An iterator: the first result that is asked for begins the stream. As a context manager it is left promptly at the
    end of the block: what is under way is cancelled, however long source or server would take.

    ::

        async with detector.detect_stream(camera) as results:
            async for result in results:
                ...
    """

    def __init__(
        self,
        frames: AnyIterable[Frame | ImageSource],
        rules: StreamRules,
        requests: StreamRequests,
        endpoints: AsyncEndpoints[Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepares a stream without beginning it.

        Args:
            frames: The source.
            rules: Window, policy, limits.
            requests: What is asked for each frame.
            endpoints: The servers.
            clock: Seconds that never go back.
            chance: From 0 to 1, drawn anew.

        Raises:
            TypeError: `frames` cannot be iterated.
        """
        self._model = requests.model
        self._flow = AsyncFlow(frames, rules, requests, endpoints, clock, chance)
        self._dropped = weakref.finalize(self, self._flow.abandon)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameResult:
        """The next result; waits for it.

        Raises:
            PasarelaError: The stream as a whole broke. What concerns one frame comes out as its `FrameError`.
            BaseException: What the source raised, after the results of all frames before it.
        """
        result = await self._flow.next_result()
        if result is None:
            raise StopAsyncIteration
        return result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leaves the stream: cancels what is under way and pulls nothing more. Frames without a result are lost."""
        self._dropped.detach()
        await self._flow.leave()

    @property
    def counts(self) -> StreamCounts:
        """What became of the frames so far."""
        return self._flow.look(lambda window: window.counts)

    @property
    def lag_frames(self) -> int:
        """How many frames were pulled whose results were not taken yet."""
        return self._flow.look(lambda window: window.lag_frames)

    @property
    def lag_s(self) -> float:
        """How long ago the oldest frame without a taken result was pulled; 0 if there is none."""
        return self._flow.look(lambda window: window.lag_s)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._model}: {self.counts}>"
