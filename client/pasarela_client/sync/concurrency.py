"""What the client needs of threads: the names of `pasarela_client.aio.concurrency`, which says what each is for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import grpc

from pasarela_client.scope import Scope
from pasarela_client.waiting import LOOK_S

T = TypeVar("T")

Channel = grpc.Channel
AnyIterable = Iterable[T]


def insecure_channel(target: str, options: Sequence[tuple[str, Any]]) -> Channel:
    """A channel without encryption."""
    return grpc.insecure_channel(target, options=options)


def secure_channel(target: str, credentials: grpc.ChannelCredentials, options: Sequence[tuple[str, Any]]) -> Channel:
    """A channel with TLS."""
    return grpc.secure_channel(target, credentials, options=options)


def ask_service(method: Callable[..., Any], request: object, scope: Scope | None, **options: Any) -> Any:
    """The answer of a unary RPC. What it raises is gRPC's."""
    if scope is None:
        return method(request, **options)
    future: Any = method.future(request, **options)  # type: ignore[attr-defined]
    scope.hold(future)
    try:
        return future.result()
    except grpc.FutureCancelledError:
        raise _CallCancelled from None
    finally:
        scope.release(future)


class StreamCall:
    """An RPC that takes and gives many messages. What it raises is gRPC's."""

    def __init__(self, method: Callable[..., Any], requests: object, **options: Any) -> None:
        """Begins it; gRPC iterates the requests on a thread of its own."""
        self._call = method(requests, **options)

    def cancel(self) -> None:
        """Gives it up; harmless when it is over."""
        self._call.cancel()

    def read(self) -> Any:
        """The next answer; None at the end."""
        return next(self._call, None)


class _CallCancelled(grpc.RpcError):
    """A call that its scope gave up."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.CANCELLED

    def details(self) -> str:
        return "the call was given up"

    def trailing_metadata(self) -> tuple[()]:
        return ()


def sleep(seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


def off_loop(function: Callable[..., T], *arguments: object) -> T:
    """Calls it: a thread may block."""
    return function(*arguments)


class Condition:
    """A lock, and a place to wait for a change of what it guards."""

    def __init__(self, sharing: Condition | None = None) -> None:
        """A new lock, or another place to wait under a lock that is there."""
        # Reentrant, because garbage collection may call `wake` on a thread that holds the lock.
        self._lock: Any = threading.RLock() if sharing is None else sharing._lock  # noqa: SLF001 - it is one of us
        self._condition = threading.Condition(self._lock)

    def __enter__(self) -> None:
        self._condition.acquire()

    def __exit__(self, *_: object) -> None:
        self._condition.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Gives the lock away, waits for `notify_all`, and takes it again; False if the time was up.

        Without a limit it may return before anything has changed: callers look, and wait again.
        """
        return self._condition.wait(LOOK_S if timeout_s is None else timeout_s) or timeout_s is None

    def notify_all(self) -> None:
        """Wakes all who wait; the caller holds the lock."""
        self._condition.notify_all()

    def look(self, function: Callable[[], T]) -> T:
        """What the function says of what is guarded, which does not change meanwhile."""
        with self._condition:
            return function()

    def wake(self) -> None:
        """Wakes all who wait, from anywhere, as garbage collection is."""
        with self._condition:
            self._condition.notify_all()


class Task:
    """Something that runs beside its starter, on a daemon thread."""

    def __init__(self, name: str, function: Callable[..., None], *arguments: object) -> None:
        """Starts it. `function` keeps its exceptions to itself: nobody asks for them."""
        self._thread = threading.Thread(target=function, args=arguments, name=name, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Nothing: it must be told by other means."""

    def join(self, timeout_s: float) -> bool:
        """Waits for its end; False if that did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


def iterate(items: Iterable[T]) -> Iterator[T]:
    """The items one by one."""
    return iter(items)
