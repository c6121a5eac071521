"""Hands calls on to the back as they are: bytes, deadline, cancellation, metadata and status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Never, TypeAlias

import grpc
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2
from typing_extensions import override

from pasarela_proto import detection_pb2, inference_pb2

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata = tuple[tuple[str, str | bytes], ...]

_RESERVED = ("grpc-", ":")
_OF_THE_CONNECTION = frozenset({"user-agent", "content-type", "te"})
"""Metadata that belong to one connection, as those with a reserved beginning: each has its own."""


def methods(files: Iterable[FileDescriptor]) -> dict[str, bool]:
    """The methods of all services of the files, by path: whether they are unary on both sides."""
    return {
        f"/{service.full_name}/{method.name}": not (method.client_streaming or method.server_streaming)
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


_UNARY = methods((inference_pb2.DESCRIPTOR, detection_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR))


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
        self._unary: dict[str, Handler] = {
            path: grpc.unary_unary_rpc_method_handler(self._unary_call(channel.unary_unary(path)))
            for path, unary in _UNARY.items()
            if unary
        }

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """The handler of any method; a method that the back has not is refused by the back."""
        path = handler_call_details.method
        return self._unary.get(path) or grpc.stream_stream_rpc_method_handler(self._stream_call(path))

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

    def _stream_call(self, path: str) -> Callable[[Any, Context], Awaitable[None]]:
        async def call(requests: Any, context: Context) -> None:
            method: Any = self._channel.stream_stream(path)
            onward = method(requests, timeout=context.time_remaining(), metadata=_metadata(context))
            try:
                await _send_initial(context, await onward.initial_metadata())
                async for response in onward:
                    await context.write(response)
                context.set_trailing_metadata(tuple(await onward.trailing_metadata()))
            except grpc.aio.AioRpcError as error:
                await self._abort(context, error)
            finally:
                onward.cancel()

        return call

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
