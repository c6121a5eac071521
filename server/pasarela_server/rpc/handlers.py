"""The methods of all services: every one answers errors, of all four kinds of RPC, as the failure table says."""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Never, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from typing_extensions import override

from pasarela_server.errors import InvalidRequest
from pasarela_server.observability.logging import fields
from pasarela_server.rpc.operations import read_to_the_end, to_its_end
from pasarela_server.rpc.status import FailureTable

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_log = logging.getLogger("pasarela_server.rpc")


class GuardedHandlers(grpc.GenericRpcHandler):
    """Takes services as a server does, and is then given to the server as its only handler.

    So each method is wrapped once, not at every call as by an interceptor; and gRPC's loop, which waits for every
    registered method by itself, waits for one thing only. Cancellation, and statuses that a servicer set itself, pass
    through.
    """

    def __init__(self, failures: FailureTable) -> None:
        self._failures = failures
        self._handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Generated code registers each service twice, like this first: the second time tells more."""

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Takes the methods of a service; those that it had under the same name are replaced."""
        for name, handler in method_handlers.items():
            path = f"/{service_name}/{name}"
            self._handlers[path] = self._guarded(path, handler)

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a method; None if there is no such method."""
        return self._handlers.get(handler_call_details.method)

    def _guarded(self, path: str, handler: Any) -> Handler:
        read = _reader(handler.request_deserializer, path, raises=handler.request_streaming)
        codecs = (read, handler.response_serializer)
        guarded: Handler
        if handler.unary_unary:
            guarded = grpc.unary_unary_rpc_method_handler(self._unary(path, handler.unary_unary), *codecs)
        elif handler.stream_unary:
            guarded = grpc.stream_unary_rpc_method_handler(self._unary(path, handler.stream_unary), *codecs)
        elif handler.unary_stream:
            guarded = grpc.unary_stream_rpc_method_handler(self._stream(path, handler.unary_stream), *codecs)
        else:
            answer = self._stream(path, handler.stream_stream, reads=True)
            guarded = grpc.stream_stream_rpc_method_handler(answer, *codecs)
        return guarded

    def _unary(self, path: str, behaviour: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Any]:
        async def call(request: Any, context: Context) -> Any:
            try:
                _refuse_unreadable(request)
                return await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - the boundary at which every exception becomes a status
                await self._abort(context, error, request)

        async def call_or_log(request: Any, context: Context) -> Any:
            if not _log.isEnabledFor(logging.DEBUG):
                return await call(request, context)
            with _logged(path, context, _request_id(request)):
                return await call(request, context)

        return call_or_log

    def _stream(
        self, path: str, behaviour: Callable[[Any, Context], Any], *, reads: bool = False
    ) -> Callable[[Any, Context], Any]:
        """Responses are written here, not left to gRPC: it would not close a generator whose client has gone."""

        async def call(request: Any, context: Context) -> None:
            with _logged(path, context) if _log.isEnabledFor(logging.DEBUG) else contextlib.nullcontext():
                try:
                    _refuse_unreadable(request)
                    given = read_to_the_end(request) if reads else request
                    if inspect.isasyncgenfunction(behaviour):
                        async with contextlib.aclosing(behaviour(given, context)) as responses:
                            async for response in responses:
                                await to_its_end(context.write(response))
                    else:
                        await behaviour(given, context)
                except Exception as error:  # noqa: BLE001 - the boundary at which every exception becomes a status
                    await self._abort(context, error, request)

        return call

    async def _abort(self, context: Context, error: Exception, request: Any) -> Never:
        if isinstance(error, grpc.aio.AbortError) or context.cancelled():
            raise error
        failure = self._failures.failure(error, _request_id(request))
        await context.abort(failure.code, failure.message, failure.metadata)


def _reader(deserialize: Callable[[bytes], Any] | None, path: str, *, raises: bool) -> Callable[[bytes], Any] | None:
    """Reads a method's messages. Bytes that are none are the client's fault, which gRPC would tell as the server's.

    Args:
        deserialize: Reads a message; None leaves it bytes.
        path: The method.
        raises: Whether the error is raised, to whoever takes the next message of a stream. Of a single message gRPC
            reads it before anything of ours runs: then the error takes its place.
    """
    if deserialize is None:
        return None

    def read(serialized: bytes) -> Any:
        try:
            return deserialize(serialized)
        except DecodeError as error:
            wrong = InvalidRequest(f"{len(serialized)} bytes that are no message of {path}: {error}")
            if raises:
                raise wrong from error
            return wrong

    return read


def _refuse_unreadable(request: Any) -> None:
    if isinstance(request, InvalidRequest):
        raise request


def _request_id(request: Any) -> str:
    """What the client calls its request; empty if it is a stream, or has no name."""
    request_id = getattr(request, "id", "")
    return request_id if isinstance(request_id, str) else ""


@contextlib.contextmanager
def _logged(path: str, context: Context, request_id: str = "") -> Iterator[None]:
    """Writes a line when the RPC is over."""
    began_s = time.perf_counter()
    outcome = status = "cancelled"
    try:
        yield
        outcome = status = "OK"
    except grpc.aio.AbortError:
        outcome, status = f"{context.code()}: {context.details()}", _status_name(context.code())
        raise
    finally:
        duration_ms = 1e3 * (time.perf_counter() - began_s)
        peer = context.peer()
        told = fields(rpc=path, peer=peer, request_id=request_id, status=status, duration_ms=round(duration_ms, 3))
        _log.debug("%s from %s: %s, %.1f ms", path, peer, outcome, duration_ms, extra=told)


def _status_name(code: Any) -> str:
    """GRPC knows a code by its number as well."""
    known = code if isinstance(code, grpc.StatusCode) else None
    return next((each.name for each in grpc.StatusCode if each is known or each.value[0] == code), str(code))
