"""Hands calls on to the back as they are: bytes, deadline, cancellation, metadata and status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import Any, Never, TypeAlias

import grpc
from google.protobuf.descriptor import FileDescriptor
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from typing_extensions import override

from pasarela_proto import detection_pb2, inference_pb2

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata = tuple[tuple[str, str | bytes], ...]

_RESERVED = ("grpc-", ":")
_OF_THE_CONNECTION = frozenset({"user-agent", "content-type", "te"})
"""Metadata that belong to one connection, as those with a reserved beginning: each has its own."""


class Kind(Enum):
    """How many messages a method takes and gives, as far as it makes a difference here."""

    UNARY = "one and one"
    UNARY_STREAM = "one and many"
    STREAM = "many"


def methods(files: Iterable[FileDescriptor]) -> dict[str, Kind]:
    """The methods of all services of the files, by path."""
    return {
        f"/{service.full_name}/{method.name}": Kind.STREAM
        if method.client_streaming
        else Kind.UNARY_STREAM
        if method.server_streaming
        else Kind.UNARY
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


_FILES = (inference_pb2.DESCRIPTOR, detection_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)


class PassThrough(grpc.GenericRpcHandler):
    """Handles whatever no other handler does. Used from the event loop only."""

    def __init__(self, channel: grpc.aio.Channel, back: str, is_gone: Callable[[], bool]) -> None:
        """Hands on to one server.

        Args:
            channel: To the back.
            back: Its address, which no client is told.
            is_gone: True once the back has ended.
        """
        self._channel = channel
        self._back = back
        self._is_gone = is_gone
        self._handlers = {path: self._handler(path, kind) for path, kind in methods(_FILES).items()}

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a method; None for one that no server of this make has."""
        return self._handlers.get(handler_call_details.method)

    def _handler(self, path: str, kind: Kind) -> Handler:
        handler: Handler
        match kind:
            case Kind.UNARY:
                handler = grpc.unary_unary_rpc_method_handler(self._unary_call(self._channel.unary_unary(path)))
            case Kind.UNARY_STREAM:
                handler = grpc.unary_stream_rpc_method_handler(self._stream_call(self._channel.unary_stream(path)))
            case Kind.STREAM:
                handler = grpc.stream_stream_rpc_method_handler(self._streams_call(self._channel.stream_stream(path)))
        return handler

    def _unary_call(self, method: Any) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def call(request: bytes, context: Context) -> bytes:
            onward = method(request, timeout=context.time_remaining(), metadata=_metadata(context))
            try:
                response: bytes = await onward
            except grpc.aio.AioRpcError as error:
                await _send_initial(context, error.initial_metadata())
                await self._abort(context, error)
            await _send_initial(context, await onward.initial_metadata())
            context.set_trailing_metadata(tuple(await onward.trailing_metadata()))
            return response

        return call

    def _stream_call(self, method: Any) -> Callable[[bytes, Context], Awaitable[None]]:
        async def call(request: bytes, context: Context) -> None:
            onward = method(request, timeout=context.time_remaining(), metadata=_metadata(context))
            await self._give_back(onward, context)

        return call

    def _streams_call(self, method: Any) -> Callable[[Any, Context], Awaitable[None]]:
        async def call(requests: Any, context: Context) -> None:
            onward = method(timeout=context.time_remaining(), metadata=_metadata(context))
            handing_on = asyncio.create_task(_hand_on(requests, onward))
            try:
                await self._give_back(onward, context)
            finally:
                handing_on.cancel()
                await asyncio.gather(handing_on, return_exceptions=True)

        return call

    async def _give_back(self, onward: Any, context: Context) -> None:
        """All that the back says on a stream, and how it ends."""
        try:
            await _send_initial(context, await onward.initial_metadata())
            async for response in onward:
                await context.write(response)
            context.set_trailing_metadata(tuple(await onward.trailing_metadata()))
        except grpc.aio.AioRpcError as error:
            await self._abort(context, error)
        finally:
            onward.cancel()

    async def _abort(self, context: Context, error: grpc.aio.AioRpcError) -> Never:
        details = error.details() or ""
        if error.code() is grpc.StatusCode.UNAVAILABLE and (self._is_gone() or self._back in details):
            details = "the server has ended; try another one, or again later"
        await context.abort(error.code(), details, tuple(error.trailing_metadata()))


def _metadata(context: Context) -> Metadata:
    said = context.invocation_metadata() or ()
    return tuple((key, value) for key, value in said if key not in _OF_THE_CONNECTION and not key.startswith(_RESERVED))


async def _send_initial(context: Context, metadata: Any) -> None:
    if metadata:
        await context.send_initial_metadata(tuple(metadata))


async def _hand_on(requests: Any, onward: Any) -> None:
    """Writes requests to a stream until they end, or the stream has.

    gRPC's own `write` is passed by: where the back has ended the stream meanwhile, it would replace the status by an
    internal error before that status has arrived.
    """
    try:
        await onward.wait_for_connection()
        async for request in requests:
            await onward._cython_call.send_serialized_message(request)  # noqa: SLF001 - see above
        await onward.done_writing()
    except (grpc.aio.AioRpcError, cygrpc.InternalError, asyncio.InvalidStateError):
        return  # its status is read on the other way
