# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.
"""What the user of a stream of frames holds. Dropping it ends the stream: nothing behind it refers to it."""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from pasarela_client.frame import Frame
from pasarela_client.images import ImageSource
from pasarela_client.streaming.counts import StreamCounts
from pasarela_client.streaming.requests import StreamRequests
from pasarela_client.streaming.results import FrameResult
from pasarela_client.streaming.rules import StreamRules
from pasarela_client.sync.concurrency import AnyIterable
from pasarela_client.sync.endpoints import Endpoints
from pasarela_client.sync.flow import Flow


class DetectionStream(Iterator[FrameResult]):
    """Results of a stream of frames, one for each, in their order. It is what `detect_stream` gives.

    An iterator: the first result that is asked for begins the stream. As a context manager it is left promptly at the
    end of the block: what is under way is cancelled, however long source or server would take.

    ::

        with detector.detect_stream(camera) as results:
            for result in results:
                ...
    """

    def __init__(
        self,
        frames: AnyIterable[Frame | ImageSource],
        rules: StreamRules,
        requests: StreamRequests,
        endpoints: Endpoints[Any],
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
        self._flow = Flow(frames, rules, requests, endpoints, clock, chance)
        self._dropped = weakref.finalize(self, self._flow.abandon)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FrameResult:
        """The next result; waits for it.

        Raises:
            PasarelaError: The stream as a whole broke. What concerns one frame comes out as its `FrameError`.
            BaseException: What the source raised, after the results of all frames before it.
        """
        result = self._flow.next_result()
        if result is None:
            raise StopIteration
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the stream: cancels what is under way and pulls nothing more. Frames without a result are lost."""
        self._dropped.detach()
        self._flow.leave()

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
