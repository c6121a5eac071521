"""What threads answer, awaited on an event loop: answers that come together wake the loop once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")


class Answers:
    """Awaits futures as `asyncio.wrap_future` does, at a third of its price.

    Waking a loop costs a system call, in which the thread that answers may lose the interpreter to the loop and has to
    win it back. So whatever is answered before the loop gets to it is handed over together.
    """

    def __init__(self) -> None:
        self._inbox: _Inbox | None = None

    async def wait(self, future: Future[_T]) -> _T:
        """The future's result, or what it raises. Cancelling the awaiting task cancels the future."""
        if future.done():
            return future.result()
        loop = asyncio.get_running_loop()
        inbox = self._inbox
        if inbox is None or inbox.loop is not loop:
            inbox = self._inbox = _Inbox(loop)
        told = loop.create_future()
        future.add_done_callback(functools.partial(inbox.put, told))
        try:
            await told
            return future.result()
        except asyncio.CancelledError:
            future.cancel()
            raise
        finally:
            del future  # a failure's traceback holds this frame, and the future the failure


class _Inbox:
    """The futures that are done and whose tasks have not been told, of one event loop."""

    __slots__ = ("_done", "_woken", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[tuple[asyncio.Future[None], Future[Any]]] = deque()
        self._woken = False

    def put(self, told: asyncio.Future[None], future: Future[Any]) -> None:
        """Called on the thread that answered."""
        self._done.append((told, future))
        # Whoever reads True appended before the loop reads it all: `_tell` lets go of the flag first.
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                self.loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        """Called on the loop."""
        self._woken = False
        for _ in range(len(self._done)):
            told, future = self._done.popleft()
            if told.done():
                continue
            if future.cancelled():
                told.cancel()
            else:
                told.set_result(None)
