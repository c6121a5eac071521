"""Errors of every RPC, of all four kinds, become the status that the failure table names."""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Never, TypeAlias

import grpc

from pasarela_server.rpc.status import FailureTable

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_log = logging.getLogger("pasarela_server.rpc")


class FailureInterceptor(grpc.aio.ServerInterceptor):
    """Applies the failure table. Cancellation, and statuses that a servicer set itself, pass through."""

    def __init__(self, failures: FailureTable) -> None:
        self._failures = failures

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps the handler of one RPC."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        codecs = (handler.request_deserializer, handler.response_serializer)
        wrapped: Handler
        if handler.unary_unary:
            wrapped = grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), *codecs)
        elif handler.stream_unary:
            wrapped = grpc.stream_unary_rpc_method_handler(self._unary(method, handler.stream_unary), *codecs)
        elif handler.unary_stream:
            wrapped = grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), *codecs)
        else:
            wrapped = grpc.stream_stream_rpc_method_handler(self._stream(method, handler.stream_stream), *codecs)
        return wrapped

    def _unary(self, method: str, behaviour: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Any]:
        async def call(request: Any, context: Context) -> Any:
            with _logged(method, context):
                try:
                    return await behaviour(request, context)
                except Exception as error:  # noqa: BLE001 - the boundary at which every exception becomes a status
                    await self._abort(context, error, request)

        return call

    def _stream(self, method: str, behaviour: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
        """Responses are written here, not left to gRPC: it would not close a generator whose client has gone."""

        async def call(request: Any, context: Context) -> None:
            with _logged(method, context):
                try:
                    if inspect.isasyncgenfunction(behaviour):
                        async with contextlib.aclosing(behaviour(request, context)) as responses:
                            async for response in responses:
                                await context.write(response)
                    else:
                        await behaviour(request, context)
                except Exception as error:  # noqa: BLE001 - the boundary at which every exception becomes a status
                    await self._abort(context, error, request)

        return call

    async def _abort(self, context: Context, error: Exception, request: Any) -> Never:
        if isinstance(error, grpc.aio.AbortError) or context.cancelled():
            raise error
        request_id = getattr(request, "id", "")
        failure = self._failures.failure(error, request_id if isinstance(request_id, str) else "")
        await context.abort(failure.code, failure.message)


@contextlib.contextmanager
def _logged(method: str, context: Context) -> Iterator[None]:
    """A line for each RPC, where the log is verbose."""
    if not _log.isEnabledFor(logging.DEBUG):
        yield
        return
    began_s = time.perf_counter()
    outcome = "cancelled"
    try:
        yield
        outcome = "OK"
    except grpc.aio.AbortError:
        outcome = f"{context.code()}: {context.details()}"
        raise
    finally:
        _log.debug("%s from %s: %s, %.1f ms", method, context.peer(), outcome, 1e3 * (time.perf_counter() - began_s))
