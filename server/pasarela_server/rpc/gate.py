"""Asks for a token before a call reaches its method. Built only where tokens are asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from typing_extensions import override

from pasarela_proto import inference_pb2 as pb
from pasarela_server.rpc.groups import EVERYBODY, LOG_SETTINGS, TRACE_SETTING, callers
from pasarela_server.rpc.refusals import Context, Handler, Refusals
from pasarela_server.security.tokens import Group, Tokens

Settings: TypeAlias = "pb.TraceSettingRequest | pb.LogSettingsRequest"

_SCHEME = "bearer"
_SETTINGS: dict[str, type[Settings]] = {TRACE_SETTING: pb.TraceSettingRequest, LOG_SETTINGS: pb.LogSettingsRequest}
"""Methods that only read unless the request names settings to change."""


class Gate(grpc.GenericRpcHandler):
    """Stands before other handlers. Used from the event loop only."""

    def __init__(
        self, handlers: Sequence[grpc.GenericRpcHandler], tokens: Callable[[], Tokens], refusals: Refusals
    ) -> None:
        """Builds the gate.

        Args:
            handlers: Asked one after the other, as a server does.
            tokens: Those that are taken now.
            refusals: Where it is noted.
        """
        self._handlers = tuple(handlers)
        self._tokens = tokens
        self._refusals = refusals

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a method, or one that refuses the call before anything of it is read."""
        path = handler_call_details.method
        found = (handler.service(handler_call_details) for handler in self._handlers)
        handler = next((each for each in found if each is not None), None)
        if handler is None:
            return None
        needed = callers(path)
        if needed == EVERYBODY:
            return handler
        given = _bearer_tokens(handler_call_details.invocation_metadata)
        if len(given) != 1:
            return self._refusals.refusing(
                "no token" if not given else "several tokens", path, *_unauthenticated(len(given))
            )
        allowed = self._tokens().allowed(given[0])
        if not allowed:
            told = "this server does not know the token of the call"
            return self._refusals.refusing("an unknown token", path, grpc.StatusCode.UNAUTHENTICATED, told)
        if not allowed & needed:
            return self._refusals.refusing("a token for other calls", path, *_denied(path, allowed, needed))
        if path in _SETTINGS and Group.CONTROL not in allowed:
            return self._reading_only(path, handler, allowed)
        return handler

    def _reading_only(self, path: str, handler: Any, allowed: frozenset[Group]) -> Handler:
        """The handler of a settings call for who may read them: a request that names any to change is refused."""
        kind = _SETTINGS[path]
        answer: Callable[[Any, Context], Awaitable[Any]] = handler.unary_unary
        code, denied = _denied(path, allowed, frozenset({Group.CONTROL}))

        async def call(request: Any, context: Context) -> Any:
            if _changes(kind, request):
                self._refusals.note("a token for other calls", path, context.peer())
                await context.abort(code, f"changing settings: {denied}")
            return await answer(request, context)

        reading: Handler = grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )
        return reading


def _changes(kind: type[Settings], request: Any) -> bool:
    """Whether a request names settings to change. One that is no message is for its method to refuse."""
    try:
        message = kind.FromString(request) if isinstance(request, bytes) else request
    except DecodeError:
        return False
    return isinstance(message, kind) and bool(message.settings)


def _bearer_tokens(metadata: Any) -> list[str]:
    """The tokens of all `authorization` metadata; an empty text for one that holds none of ours."""
    given = []
    for key, value in metadata or ():
        if key == "authorization":
            scheme, _, token = value.partition(" ")
            given.append(token.strip() if scheme.lower() == _SCHEME else "")
    return given


def _unauthenticated(count: int) -> tuple[grpc.StatusCode, str]:
    came = "got none" if count == 0 else f"got {count} of them"
    return (
        grpc.StatusCode.UNAUTHENTICATED,
        f"this server asks for a token: expected one metadata 'authorization: Bearer TOKEN', {came}",
    )


def _denied(path: str, allowed: frozenset[Group], needed: frozenset[Group]) -> tuple[grpc.StatusCode, str]:
    method = path.rpartition("/")[2]
    return (
        grpc.StatusCode.PERMISSION_DENIED,
        f"{method} takes a token for {_names(needed, ' or ')}; this one is for {_names(allowed, ', ')}",
    )


def _names(groups: frozenset[Group], between: str) -> str:
    return between.join(group.value for group in Group if group in groups)
