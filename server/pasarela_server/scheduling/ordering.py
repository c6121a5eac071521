"""Answers in the order of the requests, for models whose configuration asks for it (`preserve_ordering`)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from pasarela_server.errors import RequestCancelled
from pasarela_server.scheduling.batch import BatchAnswer


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    answer: Future[BatchAnswer]
    told: Future[BatchAnswer] = field(default_factory=Future)


class ReleaseInOrder:
    """Passes answers on when all that were asked for before have been passed on. Thread-safe.

    A request that its client has given up holds nobody back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: deque[_Pair] = deque()
        self._releasing = False

    def submit(self, answer: Future[BatchAnswer], queue: Callable[[], None]) -> Future[BatchAnswer]:
        """Queues a request.

        Args:
            answer: Is resolved when the request has been executed.
            queue: Queues it; what it raises is raised here, and the request has never been.

        Returns:
            A future that is resolved as `answer` is, in the order of these calls. Cancelling it cancels `answer`.
        """
        pair = _Pair(answer)
        with self._lock:
            self._line.append(pair)
        try:
            queue()
        except BaseException:
            pair.told.cancel()
            self._release()
            raise
        pair.told.add_done_callback(lambda told: self._on_told(pair, told))
        answer.add_done_callback(lambda _: self._release())
        return pair.told

    def _on_told(self, pair: _Pair, told: Future[BatchAnswer]) -> None:
        if told.cancelled():
            pair.answer.cancel()
            self._release()

    def _release(self) -> None:
        """One thread at a time, so that two answers cannot overtake each other between queue and client."""
        with self._lock:
            if self._releasing:
                return
            self._releasing = True
        while True:
            with self._lock:
                head = self._line[0] if self._line else None
                if head is None or not (head.answer.done() or head.told.cancelled()):
                    self._releasing = False
                    return
                self._line.popleft()
            _pass_on(head)


def _pass_on(pair: _Pair) -> None:
    if not pair.told.set_running_or_notify_cancel():
        return
    if pair.answer.cancelled():
        pair.told.set_exception(RequestCancelled("the request was given up before it was executed"))
        return
    error = pair.answer.exception()
    if error is None:
        pair.told.set_result(pair.answer.result())
    else:
        pair.told.set_exception(error)
