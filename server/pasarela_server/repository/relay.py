"""Work that passes from the image pool to a model's scheduler and back to the pool, without a stop at the event loop.

Each stop at the event loop would cost two switches between threads for every image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Generic, TypeVar

from pasarela_server.errors import RequestCancelled
from pasarela_server.scheduling.batch import BatchAnswer

_Ahead = TypeVar("_Ahead")
_Prepared = TypeVar("_Prepared")
_Result = TypeVar("_Result")


class Relay(Generic[_Ahead, _Prepared, _Result]):
    """One piece of work: prepare it, have it answered by a scheduler, finish it.

    `done` is resolved exactly once, by whichever thread comes to the end. Cancelling it skips the steps that have not
    begun and drops what waits in the scheduler; a step that has begun runs to its end.
    """

    def __init__(
        self,
        pool: Executor,
        prepare: Callable[[_Ahead | None], _Prepared],
        submit: Callable[[_Prepared], Future[BatchAnswer]],
        finish: Callable[[_Prepared, BatchAnswer, int], _Result],
        ahead: Callable[[], Future[_Ahead | None] | None] | None = None,
    ) -> None:
        """Builds the relay; `begin` runs it.

        Args:
            pool: Runs `prepare` and `finish`. Its owner shuts it down.
            prepare: First step, on the pool; told what was done ahead, if anything was.
            submit: Hands what was prepared to the scheduler; called on the pool, must not block.
            finish: Last step, on the pool; told also when the scheduler answered, by `time.monotonic_ns`.
            ahead: Before the first step, on the pool: has somebody else do a part of it, or returns None. Must not
                block.
        """
        self._pool = pool
        self._prepare = prepare
        self._submit = submit
        self._finish = finish
        self._ahead = ahead
        self._done: Future[_Result] = Future()

    @property
    def done(self) -> Future[_Result]:
        """The result to come."""
        return self._done

    def begin(self) -> None:
        """Queues the first step."""
        self._queue(self._run_prepare if self._ahead is None else self._run_ahead, None)

    def refuse(self, error: Exception) -> None:
        """Ends what has not begun."""
        self._fail(error)

    def _queue(self, step: Callable[[_Ahead | None], None], done_ahead: _Ahead | None) -> None:
        try:
            self._pool.submit(step, done_ahead)
        except RuntimeError as shut_down:
            self._fail(shut_down)

    def _run_ahead(self, _: _Ahead | None) -> None:
        assert self._ahead is not None
        if self._done.cancelled():
            return
        try:
            begun = self._ahead()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the result
            self._fail(error)
            return
        if begun is None:
            self._run_prepare(None)
            return
        self._done.add_done_callback(_Once(lambda _: begun.cancel()))
        begun.add_done_callback(_Once(self._on_ahead))

    def _on_ahead(self, begun: Future[_Ahead | None]) -> None:
        """Runs on the thread that did the work, or on that which cancelled."""
        if begun.cancelled():
            self._fail(RequestCancelled("the request was given up before its image was decoded"))
            return
        error = begun.exception()
        if error is not None:
            self._fail(error)
            return
        self._queue(self._run_prepare, begun.result())

    def _run_prepare(self, done_ahead: _Ahead | None) -> None:
        if self._done.cancelled():
            return
        try:
            prepared = self._prepare(done_ahead)
            answer = self._submit(prepared)
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the result
            self._fail(error)
            return
        # Futures keep their callbacks when they are done: these keep nothing then, or image and answer would hold each
        # other until the garbage collector came.
        self._done.add_done_callback(_Once(lambda _: answer.cancel()))
        answer.add_done_callback(_Once(lambda answered: self._on_answer(prepared, answered)))

    def _on_answer(self, prepared: _Prepared, answered: Future[BatchAnswer]) -> None:
        """Runs on the instance's thread, or on that which cancelled."""
        if answered.cancelled():
            self._fail(RequestCancelled("the request was given up before it was executed"))
            return
        error = answered.exception()
        if error is not None:
            self._fail(error)
            return
        try:
            self._pool.submit(self._run_finish, prepared, answered.result(), time.monotonic_ns())
        except Exception as refused:  # noqa: BLE001 - the pool is shut down, or has no memory: nobody else would say so
            self._fail(refused)

    def _run_finish(self, prepared: _Prepared, answer: BatchAnswer, answered_ns: int) -> None:
        if self._done.cancelled():
            return
        try:
            result = self._finish(prepared, answer, answered_ns)
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the result
            self._fail(error)
            return
        if self._done.set_running_or_notify_cancel():
            self._done.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self._done.cancelled() and self._done.set_running_or_notify_cancel():
            self._done.set_exception(error)


class _Once:
    """A future's callback that forgets what it was to call as soon as it is called."""

    def __init__(self, call: Callable[[Future[Any]], object]) -> None:
        self._call: Callable[[Future[Any]], object] | None = call

    def __call__(self, future: Future[Any]) -> None:
        call, self._call = self._call, None
        if call is not None:
            call(future)
