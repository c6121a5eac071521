"""What the client needs of asyncio. `pasarela_client.sync.concurrency` offers the same names on threads.

Everything else in this folder is written once: with `async` and `await` taken away it must be right on threads, too.
So state that several tasks share is touched inside `async with` of a `Condition` only, and no code relies on a task
being cancelled: a thread cannot be.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar, cast

import grpc

from pasarela_client.scope import Scope

T = TypeVar("T")

Channel = grpc.aio.Channel
AnyIterable = AsyncIterable[T] | Iterable[T]
"""What a caller may hand over to be iterated."""
_END: Final = object()


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

    def __init__(self) -> None:
        self._condition = asyncio.Condition()

    async def __aenter__(self) -> None:
        await self._condition.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._condition.release()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Gives the lock away, waits for `notify_all`, and takes it again; False if the time was up."""
        try:
            await asyncio.wait_for(self._condition.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def notify_all(self) -> None:
        """Wakes all who wait; the caller holds the lock."""
        self._condition.notify_all()


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
    """The items one by one. What blocks while it iterates (a video, a camera) does so on a thread of its own."""
    return aiter(items) if isinstance(items, AsyncIterable) else _OnThread(iter(items))


class _OnThread(AsyncIterator[T]):
    """A blocking iterator, asked on daemon threads so that one that never answers keeps no process from ending."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items

    async def __anext__(self) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()

        def ask() -> None:
            try:
                item = next(self._items, _END)
            except BaseException as error:  # noqa: BLE001 - whatever the iterable raises belongs to who asked
                tell(_fail, answer, error)
            else:
                tell(_answer, answer, item)

        def tell(function: Callable[..., None], *arguments: object) -> None:
            try:
                loop.call_soon_threadsafe(function, *arguments)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

        threading.Thread(target=ask, name="pasarela-frames", daemon=True).start()
        item = await answer
        if item is _END:
            raise StopAsyncIteration
        return cast("T", item)


def _answer(future: asyncio.Future[object], item: object) -> None:
    if not future.done():
        future.set_result(item)


def _fail(future: asyncio.Future[object], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
