"""What the client needs of asyncio. `pasarela_client.sync.concurrency` offers the same names on threads.

Everything else in this folder is written once: with `async` and `await` taken away it must be right on threads, too.
So state that several tasks share is touched inside `async with` of a `Condition` only, and no code relies on a task
being cancelled: a thread cannot be.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar, cast

import grpc

from pasarela_client.scope import Scope

T = TypeVar("T")

Channel = grpc.aio.Channel
AnyIterable = AsyncIterable[T] | Iterable[T]
"""What a caller may hand over to be iterated."""
_END: Final = object()
_SENT_TOO_LATE: Final = "Internal error from Core"
_STATUS_S: Final = 1.0
"""How long after that the status of the call may take to arrive."""


def insecure_channel(target: str, options: Sequence[tuple[str, Any]]) -> Channel:
    """A channel without encryption; it belongs to the event loop that runs now."""
    return grpc.aio.insecure_channel(target, options=options)


def secure_channel(target: str, credentials: grpc.ChannelCredentials, options: Sequence[tuple[str, Any]]) -> Channel:
    """A channel with TLS; it belongs to the event loop that runs now."""
    return grpc.aio.secure_channel(target, credentials, options=options)


async def ask_service(method: Callable[..., Any], request: object, scope: Scope | None, **options: Any) -> Any:
    """The answer of a unary RPC. What it raises is gRPC's, except when this task itself was cancelled.

    Args:
        method: The stub's.
        request: The message.
        scope: Holds the call while it is under way; None if only this task may give it up.
        **options: As the method takes them.
    """
    call = method(request, **options)
    if scope is not None:
        scope.hold(call)
    try:
        return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not call.done() or (task is not None and task.cancelling()):
            raise
        # A call that was cancelled on its own, not with this task: its scope is over, or its channel closed.
        raise _call_cancelled() from None
    finally:
        if scope is not None:
            scope.release(call)


class StreamCall:
    """An RPC that takes and gives many messages. What it raises is as of `ask_service`."""

    def __init__(self, method: Callable[..., Any], requests: object, **options: Any) -> None:
        """Begins it.

        Args:
            method: The stub's.
            requests: What is iterated for messages; it keeps its exceptions to itself.
            **options: As the method takes them.
        """
        self._status: grpc.aio.AioRpcError | None = None
        self._status_came = asyncio.Event()
        self._call = method(requests, **options)
        self._call.add_done_callback(self._note_status)
        self._answers = aiter(self._call)  # `Call.read` would forget answers that came before the end was read

    def cancel(self) -> None:
        """Gives it up; harmless when it is over."""
        self._call.cancel()

    async def read(self) -> Any:
        """The next answer; None at the end."""
        try:
            return await anext(self._answers, None)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._call.done() or (task is not None and task.cancelling()):
                raise
            raise _call_cancelled() from None
        except grpc.aio.AioRpcError as error:
            if not _was_sent_too_late(error):
                raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STATUS_S):
                    await self._status_came.wait()
            raise self._status or error from None

    def _note_status(self, call: Any) -> None:
        # gRPC replaces the server's status by one of its own where a message was still on its way when the call ended.
        status = grpc.aio.AioRpcError(
            _at_once(call.code()),
            _at_once(call.initial_metadata()),
            _at_once(call.trailing_metadata()),
            _at_once(call.details()),
        )
        if not _was_sent_too_late(status):
            self._status = status
            self._status_came.set()


def _at_once(coroutine: Any) -> Any:
    """What a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        return returned.value
    coroutine.close()
    raise RuntimeError("the call is over, and has not all of its status")


def _was_sent_too_late(error: grpc.aio.AioRpcError) -> bool:
    return error.code() is grpc.StatusCode.INTERNAL and error.details() == _SENT_TOO_LATE


def _call_cancelled() -> grpc.RpcError:
    return grpc.aio.AioRpcError(
        grpc.StatusCode.CANCELLED, grpc.aio.Metadata(), grpc.aio.Metadata(), "the call was given up"
    )


async def sleep(seconds: float) -> None:
    """Lets others go on for so long."""
    await asyncio.sleep(seconds)


async def off_loop(function: Callable[..., T], *arguments: object) -> T:
    """Calls what may block for a moment (reading a file), without keeping the event loop from its work."""
    return await asyncio.to_thread(function, *arguments)


class Condition:
    """A lock, and a place to wait for a change of what it guards."""

    def __init__(self, sharing: Condition | None = None) -> None:
        """A new lock, or another place to wait under a lock that is there."""
        self._lock: asyncio.Lock = asyncio.Lock() if sharing is None else sharing._lock  # noqa: SLF001 - it is one of us
        self._condition = asyncio.Condition(self._lock)

    async def __aenter__(self) -> None:
        await self._condition.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._condition.release()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Gives the lock away, waits for `notify_all`, and takes it again; False if the time was up.

        A task that is cancelled meanwhile is: `asyncio.wait_for` of Python 3.11 would forget that where both happen.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._condition.wait()
        except TimeoutError:
            return False
        return True

    def notify_all(self) -> None:
        """Wakes all who wait; the caller holds the lock."""
        self._condition.notify_all()

    def look(self, function: Callable[[], T]) -> T:
        """What the function says of what is guarded, which does not change meanwhile."""
        return function()

    def wake(self) -> None:
        """Wakes threads from anywhere, as garbage collection is; tasks are cancelled instead."""


class Task:
    """Something that runs beside its starter."""

    def __init__(self, name: str, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Starts it. `function` keeps its exceptions to itself: nobody asks for them."""
        self._task = asyncio.create_task(_awaited(function, arguments), name=name)

    def cancel(self) -> None:
        """Ends it where it waits; a thread would have to be told by other means, so it must be told, too."""
        self._task.cancel()

    async def join(self, timeout_s: float) -> bool:
        """Waits for its end; False if that did not come in time."""
        done, _ = await asyncio.wait({self._task}, timeout=timeout_s)
        return bool(done)


async def _awaited(function: Callable[..., Awaitable[None]], arguments: tuple[object, ...]) -> None:
    await function(*arguments)


def iterate(items: AnyIterable[T]) -> AsyncIterator[T]:
    """The items one by one. What may block while it iterates (a video, a camera) does so on a thread of its own."""
    if isinstance(items, AsyncIterable):
        return aiter(items)
    return _AtHand(iter(items)) if isinstance(items, list | tuple | range) else _OnThread(iter(items))


class _AtHand(AsyncIterator[T]):
    """Items that are there already."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items

    async def __anext__(self) -> T:
        for item in self._items:
            return item
        raise StopAsyncIteration


class _OnThread(AsyncIterator[T]):
    """A blocking iterator on a daemon thread of its own: one that never answers keeps no process from ending.

    The thread ends when the iterator has been dropped and the items have answered.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._begun = False
        weakref.finalize(self, self._asked.put, None)

    async def __anext__(self) -> T:
        if not self._begun:
            self._begun = True
            threading.Thread(target=_give, args=(self._items, self._asked), name="pasarela-frames", daemon=True).start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()
        self._asked.put((loop, answer))
        item = await answer
        if item is _END:
            raise StopAsyncIteration
        return cast("T", item)


_Asked = tuple[asyncio.AbstractEventLoop, "asyncio.Future[object]"]


def _give(items: Iterator[object], asked: queue.SimpleQueue[_Asked | None]) -> None:
    while (who := asked.get()) is not None:
        loop, answer = who
        function: Callable[..., None] = _answer
        given: object
        try:
            given = next(items, _END)
        except BaseException as error:  # noqa: BLE001 - whatever the iterable raises belongs to who asked
            function, given = _fail, error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(function, answer, given)
        del who, answer, given  # nothing is kept alive while nobody asks


def _answer(future: asyncio.Future[object], item: object) -> None:
    if not future.done():
        future.set_result(item)


def _fail(future: asyncio.Future[object], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
