"""Many images, with as many under way at a time as the servers take: what `BulkWindow` decides, carried out."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, Self

from pasarela_client.aio.concurrency import AnyIterable, Condition, Task, iterate
from pasarela_client.aio.endpoints import AsyncEndpoints
from pasarela_client.bulk import Attempt, BulkWindow, Pace, pause_s
from pasarela_client.detections import FrameError
from pasarela_client.errors import (
    AccessDenied,
    InvalidModel,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    PasarelaError,
    RequestCancelled,
    ServerUnreachable,
    Unsupported,
)
from pasarela_client.frame import Frame, as_frame
from pasarela_client.images import Channels, ImageSource
from pasarela_client.progress import ProgressReport, Wanted, total_of
from pasarela_client.retry import Trouble, trouble_of
from pasarela_client.scope import Scope
from pasarela_client.streaming.results import FrameResult, failed

CONCERNS_ALL_IMAGES: Final = (
    AccessDenied,
    InvalidModel,
    ModelNotFound,
    ModelUnavailable,
    ServerUnreachable,
    Unsupported,
)
"""What befalls the first image befalls all of them."""

_FAREWELL_S: Final = 1.0
"""How long leaving waits for what was cancelled; an iterable that blocks is left alone."""


class AsyncManyResults(AsyncIterator[FrameResult]):
    """Results of many images, one for each. It is what `detect_many` gives.

    An iterator, for one consumer: the first result that is asked for begins the work. In a `with` block, leaving it
    cancels what is under way; so does who gives up waiting for a result.
    """

    def __init__(self, work: AsyncBulkWork) -> None:
        self._results: Any = work.run()
        self._given_up = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameResult:
        """The next result; waits for it.

        Raises:
            RequestCancelled: The detector was closed, or the wait for an earlier result was given up.
            PasarelaError: No image can be answered: the model is not there, or no server is.
            BaseException: What the iterable of images raised, after the results of the images before.
        """
        if self._given_up:
            raise RequestCancelled("the wait for a result was given up, and with it all that was under way")
        try:
            result: FrameResult = await anext(self._results)
        except Exception:
            raise
        except BaseException:
            self._given_up = True  # without a word the end would look like that of the images
            raise
        return result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancels what is under way; nothing more comes out."""
        self._given_up = False
        await self._results.aclose()


class AsyncBulkWork:
    """The work: tasks that each pull an image, send it until it has a result, and pull the next."""

    def __init__(
        self,
        images: AnyIterable[Frame | ImageSource],
        detect: Callable[[Frame, int, float | None, Scope], Any],
        endpoints: AsyncEndpoints[Any],
        *,
        pace: Pace,
        ordered: bool,
        channels: Channels,
        timeout_s: float | None,
        progress: Wanted,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepares it; nothing begins.

        Args:
            images: What to detect on.
            detect: One try for a frame at a position, in so many seconds, within a scope.
            endpoints: The servers.
            pace: How many at a time.
            ordered: Whether results come in the order of the images.
            channels: Of arrays that are no `Frame`.
            timeout_s: The time of one image, from its first try; None if it has no end.
            progress: Who is told how far it is.
            clock: Seconds that never go back.
            chance: From 0 to 1, drawn anew.

        Raises:
            TypeError: `images` cannot be iterated.
        """
        self._images = images
        self._source = iterate(images)
        self._detect = detect
        self._endpoints = endpoints
        self._pace = pace
        self._window = BulkWindow[FrameResult](pace, ordered=ordered)
        self._channels = channels
        self._timeout_s = timeout_s
        self._progress = progress
        self._clock = clock
        self._chance = chance
        self._scope = Scope()
        self._turn = Condition()
        """Held by who pulls."""
        self._room = Condition()
        """Waited for by who would pull, or call, and may not yet."""
        self._ready = Condition()
        """Waited for by who takes results."""
        self._pausing = Condition()
        """Waited on by images that are sent again later."""
        self._tasks: list[Task] = []
        self._away_since_s: float | None = None
        """Since when no server has said anything, be it that an image is wrong; None while one does."""
        self._gone: PasarelaError | None = None
        """Why no server is there any more: what was pulled has failed, and nothing else is."""

    async def run(self) -> AsyncIterator[FrameResult]:
        """The results. Closing the generator ends all of it."""
        report = ProgressReport(self._progress, total_of(self._images))
        try:
            self._hire()
            while (result := await self._next()) is not None:
                await _notify(self._room)
                report.advance(failed=isinstance(result, FrameError))
                yield result
            if self._window.error is not None:
                raise self._window.error
        finally:
            report.close()
            await self._end()

    async def _next(self) -> FrameResult | None:
        async with self._ready:
            while True:
                result = self._window.take()
                if result is not None or self._window.over:
                    return result
                await self._ready.wait()

    async def _end(self) -> None:
        self._window.close()
        self._scope.give_up()
        for task in self._tasks:
            task.cancel()
        await _notify(self._room)
        await _notify(self._pausing)
        ends_s = self._clock() + _FAREWELL_S
        for task in self._tasks:
            await task.join(max(0.0, ends_s - self._clock()))

    def _hire(self) -> None:
        if self._window.hire():
            self._tasks.append(Task(f"pasarela-many-{len(self._tasks)}", self._work))

    async def _work(self) -> None:
        try:
            while (pulled := await self._pull()) is not None:
                self._hire()
                index, image = pulled
                frame = as_frame(image, self._channels)
                await self._settle(index, frame)
        except BaseException as error:  # noqa: BLE001 - whatever it is, who takes the results must hear of it
            self._window.close(error)
        finally:
            await _notify(self._ready)

    async def _pull(self) -> tuple[int, Frame | ImageSource] | None:
        async with self._turn:
            async with self._room:
                while not self._window.may_pull() and not self._window.ended:
                    await self._room.wait()
            if self._window.ended:
                return None
            try:
                image = await anext(self._source)
            except StopAsyncIteration:
                self._window.exhaust()
                return None
            except BaseException as error:  # noqa: BLE001 - raised to who takes the results, after those before it
                self._window.exhaust(error)
                return None
            return self._window.pull(), image

    async def _settle(self, index: int, frame: Frame) -> None:
        """Sends an image until it has a result."""
        ends_s: float | None = None
        tries = 0
        while await self._begin():
            if tries == 0 and self._timeout_s is not None:
                ends_s = self._clock() + self._timeout_s
            in_round = self._pace.round
            try:
                result = await self._detect(frame, index, _left_s(ends_s, self._clock), self._scope)
            except PasarelaError as raised:
                error = raised
            else:
                self._pace.answered()
                self._away_since_s = None
                await self._finish(index, result, answered=True)
                return
            finally:
                self._window.end()
                await _notify(self._room)
            tries += 1
            self._note_away(away=isinstance(error, ServerUnreachable))
            seconds = self._judge(error, in_round, tries, _left_s(ends_s, self._clock))
            if seconds is None:
                await self._note_gone(error)
                await self._fail(index, frame, error)
                return
            await self._pause(seconds)
        if self._gone is not None:
            await self._fail(index, frame, self._gone)

    def _note_away(self, *, away: bool) -> None:
        if not away or self._endpoints.others_are_well():
            self._away_since_s = None
        elif self._away_since_s is None:
            self._away_since_s = self._clock()

    async def _note_gone(self, error: PasarelaError) -> None:
        """An image failed. If no server was there for as long as one image may take, that is the end."""
        since_s, longest_s = self._away_since_s, self._timeout_s
        if since_s is None or longest_s is None or not self._window.answered or self._clock() - since_s < longest_s:
            return
        self._gone = error
        self._window.exhaust(error)
        await _notify(self._room)
        await _notify(self._pausing)

    def _judge(self, error: PasarelaError, in_round: int, tries: int, remaining_s: float | None) -> float | None:
        """Seconds until the image is sent again; None if it has failed."""
        trouble, others = trouble_of(error), self._endpoints.others_are_well()
        if trouble is Trouble.BUSY or (trouble is Trouble.UNREACHABLE and not others):
            self._pace.refused(in_round)
        attempt = Attempt(trouble, tries, remaining_s, others, self._window.answered)
        return pause_s(attempt, self._endpoints.connection.retry, self._chance())

    async def _fail(self, index: int, frame: Frame, error: PasarelaError) -> None:
        closed = isinstance(error, RequestCancelled)
        if closed or (isinstance(error, CONCERNS_ALL_IMAGES) and not self._window.answered):
            self._window.close(error)
        # That a server finds fault with an image shows that it has the model.
        answered = isinstance(error, InvalidRequest) and error.status is not None
        await self._finish(index, failed(error, index, frame), answered=answered)

    async def _finish(self, index: int, result: FrameResult, *, answered: bool) -> None:
        self._window.finish(index, result, answered=answered)
        await _notify(self._ready)

    async def _begin(self) -> bool:
        """Waits until a call may begin; False if none may any more."""
        async with self._room:
            while not (self._window.closed or self._gone):
                if self._window.begin():
                    return True
                await self._room.wait()
        return False

    async def _pause(self, seconds: float) -> None:
        until_s = self._clock() + seconds
        async with self._pausing:
            while not (self._window.closed or self._gone) and (left_s := until_s - self._clock()) > 0:
                await self._pausing.wait(left_s)


def _left_s(ends_s: float | None, clock: Callable[[], float]) -> float | None:
    return None if ends_s is None else ends_s - clock()


async def _notify(condition: Condition) -> None:
    async with condition:
        condition.notify_all()
