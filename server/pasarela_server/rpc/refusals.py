"""Calls that are turned away at the door, and what the log tells of them: a line a minute, however many there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_log = logging.getLogger("pasarela_server.security")

_EVERY_S = 60.0


class Refusals:
    """Counts refusals of each kind. Used from the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_s: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def note(self, kind: str, path: str, peer: str) -> None:
        """Takes down one call.

        Args:
            kind: Why it was turned away, in a few words that are the same for all of its kind.
            path: The method.
            peer: Who called, as gRPC names it.
        """
        _log.debug("%s from %s was turned away: %s", path, peer, kind)
        now_s = self._clock()
        if now_s - self._told_s.get(kind, -_EVERY_S) < _EVERY_S:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        more = self._untold.pop(kind, 0)
        since = f"; so were {more} calls since the last such line" if more else ""
        _log.warning("%s from %s was turned away: %s%s", path, peer, kind, since)
        self._told_s[kind] = now_s

    def refusing(self, kind: str, path: str, code: grpc.StatusCode, message: str) -> Handler:
        """A handler for a call of any kind: it ends the call at once, whatever the client still writes.

        Args:
            kind: As in `note`.
            path: The method.
            code: What the client is told.
            message: What the client is told.
        """

        async def refuse(requests: Any, context: Context) -> None:  # noqa: ARG001 - read by nobody
            self.note(kind, path, context.peer())
            await context.abort(code, message)

        handler: Handler = grpc.stream_stream_rpc_method_handler(refuse)
        return handler
