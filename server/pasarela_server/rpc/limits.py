"""How much one client may have open at a time. Built only where there is a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import grpc
from typing_extensions import override

from pasarela_server.rpc.groups import EVERYBODY, callers
from pasarela_server.rpc.refusals import Context, Handler, Refusals


def client_of(peer: str) -> str:
    """Whom a connection belongs to: the address without the port, so that a second connection gives nothing more."""
    return peer.rpartition(":")[0] if peer.startswith(("ipv4:", "ipv6:")) else peer


class Limited(grpc.GenericRpcHandler):
    """Stands before other handlers and counts. Used from the event loop only.

    A probe (a unary call of the health service or its like) is neither counted nor refused: a client that is at its
    limit is not to take the server for dead.
    """

    def __init__(
        self, handlers: Sequence[grpc.GenericRpcHandler], max_calls: int, max_streams: int, refusals: Refusals
    ) -> None:
        """Builds the limits.

        Args:
            handlers: Asked one after the other, as a server does. They give the same handler for a method every time.
            max_calls: That one client may have open, streams among them; 0: any number.
            max_streams: That one client may have open; 0: any number.
            refusals: Where it is noted.
        """
        self._handlers = tuple(handlers)
        self._refusals = refusals
        self._calls, self._streams = _Count(max_calls), _Count(max_streams)
        self._counted: dict[str, Handler] = {}

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a method, made to count."""
        path = handler_call_details.method
        counted = self._counted.get(path)
        if counted is None:
            found = (handler.service(handler_call_details) for handler in self._handlers)
            handler = next((each for each in found if each is not None), None)
            if handler is None:
                return None
            counted = self._counted[path] = self._count(path, handler)
        return counted

    def _count(self, path: str, handler: Any) -> Handler:
        codecs = (handler.request_deserializer, handler.response_serializer)
        counted: Handler
        if handler.unary_unary:
            if callers(path) == EVERYBODY:
                return handler  # type: ignore[no-any-return]
            counted = grpc.unary_unary_rpc_method_handler(self._call(path, handler.unary_unary, self._calls), *codecs)
        elif handler.unary_stream:
            counted = grpc.unary_stream_rpc_method_handler(
                self._call(path, handler.unary_stream, self._calls, self._streams), *codecs
            )
        else:
            counted = grpc.stream_stream_rpc_method_handler(
                self._call(path, handler.stream_stream, self._calls, self._streams), *codecs
            )
        return counted

    def _call(self, path: str, behaviour: Any, *counts: _Count) -> Any:
        async def call(request: Any, context: Context) -> Any:
            client = client_of(context.peer())
            full = next((count for count in counts if count.is_full(client)), None)
            if full is not None:
                what = "streams" if full is self._streams else "calls"
                self._refusals.note(f"the client has too many {what} open", path, context.peer())
                await context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"this client has as many {what} open as this server takes from one ({full.most}); wait until one "
                    "has ended",
                )
            for count in counts:
                count.enter(client)
            try:
                return await behaviour(request, context)
            finally:
                for count in counts:
                    count.leave(client)

        return call


class _Count:
    """What each client has open."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: Counter[str] = Counter()

    def is_full(self, client: str) -> bool:
        return 0 < self.most <= self._open[client]

    def enter(self, client: str) -> None:
        self._open[client] += 1

    def leave(self, client: str) -> None:
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]
