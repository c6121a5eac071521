"""Traces to a collector, by OTLP over gRPC: OpenTelemetry's SDK sends them in the background."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pasarela_server.observability.record import RequestRecord
from pasarela_server.observability.spans import Ids, Span, SpanId, SpanMaker

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.trace import SpanContext

_log = logging.getLogger("pasarela_server.observability")

_MOST_WAITING = 10_000
"""Requests that may wait to be made spans of; more are dropped."""
_SAMPLED = 1
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SCOPE = "pasarela_server"


class TracingUnavailable(Exception):
    """Traces cannot be sent; the message says what to do."""


class SpanExport:
    """Takes requests from any thread, makes spans of them on a thread of its own, and hands these to the SDK."""

    def __init__(
        self,
        processor: SpanProcessor,
        status: Callable[[type[BaseException]], str],
        resource: Mapping[str, str],
    ) -> None:
        """Builds it; its thread starts with the first request.

        Args:
            processor: Sends spans, or drops what is too much; ended by `close`.
            status: The name of the status that a client gets for an error of a kind.
            resource: Attributes of the server; those of the standard variables are added.
        """
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        random = RandomIdGenerator()
        self._maker = SpanMaker(Ids(random.generate_trace_id, random.generate_span_id), status)
        self._processor = processor
        self._to_sdk = _conversion(resource)
        self._waiting: queue.Queue[RequestRecord | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._starting = threading.Lock()
        self._closed = False
        self._dropped = 0

    def add(self, record: RequestRecord) -> None:
        """Takes a request that has ended; never blocks."""
        with self._starting:
            if self._closed:
                return
            if not self._thread.is_alive():
                self._thread.start()
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._dropped += 1
            if self._dropped == 1:
                _log.warning("traces come faster than they can be sent: some are dropped")

    def close(self, timeout_s: float) -> None:
        """Sends what waits, in so many seconds at most; what is left then is lost. Blocks."""
        with self._starting:
            started, self._closed = self._thread.is_alive(), True
        ending = threading.Thread(target=self._end, args=(started,), name="spans-end", daemon=True)
        ending.start()
        ending.join(timeout_s)
        if ending.is_alive():
            _log.warning("the collector of traces does not answer: the last ones are lost")

    def _end(self, started: bool) -> None:
        if started:
            self._waiting.put(None)
            self._thread.join()
        self._processor.shutdown()

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            try:
                for span in self._maker.spans(record, time.time_ns() - time.monotonic_ns()):
                    self._processor.on_end(self._to_sdk(span))
            except Exception:  # noqa: BLE001 - the next one does not suffer from it
                _log.exception("a request could not be traced")


def export_spans(url: str, resource: Mapping[str, str], status: Callable[[type[BaseException]], str]) -> SpanExport:
    """What sends traces to a collector.

    Args:
        url: http://host:port, or https; empty leaves it to the standard variables, as all else.
        resource: See `SpanExport`.
        status: See `SpanExport`.

    Raises:
        TracingUnavailable: The packages for it are not installed, or a variable asks for another protocol.
    """
    for variable in _PROTOCOLS:
        protocol = os.environ.get(variable)
        if protocol:
            if protocol != "grpc":
                raise TracingUnavailable(
                    f"{variable} asks for {protocol}: this server sends traces by grpc, to port 4317 of most collectors"
                )
            break
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingUnavailable(
            f"traces are sent by packages that are not here ({error.name}): pip install 'pasarela-server[otel]'"
        ) from error
    exporter = OTLPSpanExporter(endpoint=url or None, insecure=url.startswith("http://") or None)
    return SpanExport(BatchSpanProcessor(exporter), status, resource)


def _conversion(resource: Mapping[str, str]) -> Callable[[Span], ReadableSpan]:
    """From our spans to those of the SDK."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

    flags, scope = TraceFlags(_SAMPLED), InstrumentationScope(_SCOPE)
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    described = Resource.create({**({} if named else {"service.name": "pasarela"}), **resource})

    def context(span_id: SpanId, *, remote: bool = False, state: str = "") -> SpanContext:
        return SpanContext(*span_id, is_remote=remote, trace_flags=flags, trace_state=TraceState.from_header([state]))

    def convert(span: Span) -> ReadableSpan:
        parent = span.parent and context(span.parent, remote=span.remote_parent, state=span.state)
        return ReadableSpan(
            span.name,
            context=context(span.id, state=span.state),
            parent=parent,
            resource=described,
            attributes=dict(span.attributes),
            links=[Link(context(each)) for each in span.links],
            kind=SpanKind.SERVER if span.is_server else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=scope,
        )

    return convert
