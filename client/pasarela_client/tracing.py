"""Calls as spans of OpenTelemetry, where the program traces itself: then the server is told which trace it works for.

OpenTelemetry is never imported here: a program that traces has done so.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Final, Self

from pasarela_client.errors import PasarelaError

Metadata = tuple[tuple[str, str], ...]
_SERVICE: Final = "pasarela.v1.DetectionService"


class CallSpan:
    """A call as a trace sees it, from its first try to its end; nothing at all where nobody traces."""

    __slots__ = ("_span", "metadata")

    def __init__(self, span: Any = None, metadata: Metadata = ()) -> None:
        self._span = span
        self.metadata: Final = metadata
        """What tells the server of the trace, in the form of W3C unless the program wants another."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """The call is over; harmless the second time."""
        span, self._span = self._span, None
        if span is None:
            return
        if error is not None:
            from opentelemetry.trace import StatusCode

            span.record_exception(error)
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR, str(error))
        status = error.status if isinstance(error, PasarelaError) else None
        if error is None or status is not None:
            span.set_attribute("rpc.grpc.status_code", 0 if status is None else status.value[0])
        span.end()


_NOBODY_TRACES: Final = CallSpan()


def current_trace() -> Any:
    """Where calls that begin on other threads belong, as `begin_span` takes it; None where nobody traces."""
    if sys.modules.get("opentelemetry.context") is None:
        return None
    from opentelemetry.context import get_current

    return get_current()


def begin_span(method: str, *, url: str, model: str, request_id: str, parent: Any = None) -> CallSpan:
    """A span for a call that begins.

    Args:
        method: Name of the RPC.
        url: Who is asked.
        model: The model.
        request_id: How the request is called.
        parent: What `current_trace` gave; None takes what is current.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return _NOBODY_TRACES
    provider = trace.get_tracer_provider()
    if (
        isinstance(provider, trace.ProxyTracerProvider)
        and not trace.get_current_span(parent).get_span_context().is_valid
    ):
        return _NOBODY_TRACES
    from opentelemetry import propagate

    span = provider.get_tracer("pasarela_client").start_span(
        f"{_SERVICE}/{method}",
        context=parent,
        kind=trace.SpanKind.CLIENT,
        attributes={
            "rpc.system": "grpc",
            "rpc.service": _SERVICE,
            "rpc.method": method,
            "server.address": url,
            "pasarela.model": model,
            "pasarela.request_id": request_id,
        },
    )
    told: dict[str, str] = {}
    propagate.inject(told, trace.set_span_in_context(span, parent))
    return CallSpan(span, tuple((key.lower(), value) for key, value in told.items()))
