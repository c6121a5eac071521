"""A request that has ended as spans of a trace: when it came, waited, was computed and answered. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from pasarela_server.observability.record import RequestRecord
from pasarela_server.observability.trace_context import TraceContext, parse_trace_context
from pasarela_server.request import Timings

_REMEMBERED_BATCHES = 1024

Value = str | int


class SpanId(NamedTuple):
    """What names a span."""

    trace_id: int
    span_id: int


@dataclass(frozen=True, slots=True)
class Span:
    """One span, over."""

    name: str
    id: SpanId
    parent: SpanId | None
    """None for the first of a trace."""
    start_ns: int
    """Since the epoch, as `end_ns`."""
    end_ns: int
    attributes: Mapping[str, Value]
    links: tuple[SpanId, ...] = ()
    is_server: bool = False
    """Whether it answers a call of another program."""
    remote_parent: bool = False
    state: str = ""
    """Of the caller's trace; see `TraceContext`."""
    error: str = ""
    """Name of the status with which it failed."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Where new ids come from: random numbers that are not 0."""

    trace: Callable[[], int]
    span: Callable[[], int]


class SpanMaker:
    """Makes spans of requests. A batch is a trace of its own, which all requests that travelled in it link to.

    Not thread-safe.
    """

    def __init__(self, ids: Ids, status: Callable[[type[BaseException]], str]) -> None:
        """Begins without any batch.

        Args:
            ids: For new spans.
            status: The name of the status that a client gets for an error of a kind.
        """
        self._ids = ids
        self._status = status
        self._batches: OrderedDict[tuple[int, int], SpanId] = OrderedDict()

    def spans(self, record: RequestRecord, epoch_ns: int) -> Iterator[Span]:
        """The spans of one request, and that of its batch if this is the first request of it.

        Args:
            record: The request.
            epoch_ns: What makes times since the epoch of those on the record's clock: is added to them.
        """
        caller = parse_trace_context(record.caller.traceparent, record.caller.tracestate)
        trace_id = self._ids.trace() if caller is None else caller.trace_id
        request = _request_span(record, caller, SpanId(trace_id, self._ids.span()))
        if record.error is not None:
            attributes = {**request.attributes, "error.type": record.error.__name__}
            request = replace(request, attributes=attributes, error=self._status(record.error))
        for span in (request, *(() if record.failed else self._stages(record, request))):
            yield replace(span, start_ns=span.start_ns + epoch_ns, end_ns=span.end_ns + epoch_ns)

    def _stages(self, record: RequestRecord, request: Span) -> Iterator[Span]:
        timings, ended_ns = record.timings, record.ended_ns

        def span(name: str, start_ns: int, length_ns: int, parent: SpanId = request.id) -> Span:
            own = SpanId(parent.trace_id, self._ids.span())
            start_ns = min(max(start_ns, request.start_ns), ended_ns)
            return Span(name, own, parent, start_ns, min(start_ns + length_ns, ended_ns), {})

        at_ns = request.start_ns
        for name in ("receive", "decode_queue", "decode", "letterbox"):
            length_ns = getattr(timings, f"{name}_ns")
            if length_ns:
                yield span(name, at_ns, length_ns)
            at_ns += length_ns
        began_ns = timings.batch_began_ns
        if began_ns:
            yield span("queue", began_ns - timings.queue_ns, timings.queue_ns)
            whole_ns = timings.batch_ns + timings.infer_ns + timings.split_ns
            is_new, whole = self._batch(timings)
            attributes = _batch_attributes(timings)
            share = replace(span("batch", began_ns, whole_ns), attributes=attributes, links=(whole,))
            yield share
            yield span("infer", began_ns + timings.batch_ns, timings.infer_ns, share.id)
            at_ns = began_ns + whole_ns
            if is_new:
                yield Span("batch", whole, None, began_ns, at_ns, attributes, (share.id,))
        for name in ("nms_queue", "nms"):
            length_ns = getattr(timings, f"{name}_ns")
            if length_ns:
                yield span(name, at_ns, length_ns)
            at_ns += length_ns
        if timings.encode_ns:
            yield span("encode", ended_ns - timings.encode_ns, timings.encode_ns)

    def _batch(self, timings: Timings) -> tuple[bool, SpanId]:
        """Whether the batch has no span yet, and which it is."""
        key = timings.batch_began_ns, timings.instance
        known = self._batches.get(key)
        if known is not None:
            return False, known
        made = self._batches[key] = SpanId(self._ids.trace(), self._ids.span())
        if len(self._batches) > _REMEMBERED_BATCHES:
            self._batches.popitem(last=False)
        return True, made


def _request_span(record: RequestRecord, caller: TraceContext | None, own: SpanId) -> Span:
    timings = record.timings
    received_ns = timings.submitted_ns - timings.receive_ns if timings.submitted_ns else record.started_ns
    service, _, method = record.caller.method.rpartition("/")
    attributes: dict[str, Value] = {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "pasarela.model": record.model,
        "pasarela.model_version": record.version,
        "pasarela.request_id": record.request_id,
        "pasarela.rows": record.rows,
    }
    return Span(
        record.caller.method or "request",
        own,
        None if caller is None else SpanId(caller.trace_id, caller.span_id),
        min(received_ns, record.started_ns),
        record.ended_ns,
        attributes,
        is_server=True,
        remote_parent=caller is not None,
        state="" if caller is None else caller.state,
    )


def _batch_attributes(timings: Timings) -> dict[str, Value]:
    return {
        "pasarela.batch_size": timings.batch_size,
        "pasarela.close_reason": timings.close_reason,
        "pasarela.instance": timings.instance,
    }
