"""Who calls, as far as traces need it: read where requests are traced, and only there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from pasarela_server.observability.record import NOBODY, Caller
from pasarela_server.observability.trace_context import parse_trace_context

Context = grpc.aio.ServicerContext[Any, Any]
Callers = Callable[[str, Context], Caller]
"""Tells of a call who makes it, from the full name of its method and its context."""


def untraced(method: str, context: Context) -> Caller:  # noqa: ARG001 - asks for nothing, so it costs nothing
    """Where nothing is traced."""
    return NOBODY


def read_caller(method: str, context: Context) -> Caller:
    """Method and trace of a call. A trace context that is none is as if there were none, as W3C asks for."""
    parent, state = "", []
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str):
            parent = value
        elif key == "tracestate" and isinstance(value, str):
            state.append(value)
    context_of_trace = parse_trace_context(parent, ",".join(state))
    return Caller(method) if context_of_trace is None else Caller(method, parent, context_of_trace.state)
