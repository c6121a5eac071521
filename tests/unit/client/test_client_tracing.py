"""Calls as spans, in the trace of the program that makes them, and of the server that answers them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from pasarela_client import ModelNotFound
from pasarela_client.tracing import begin_span, current_trace
from pasarela_proto import detection_pb2 as pb


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    """A program that traces, for this test only: the real one is set once in a process."""
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield provider
    provider.shutdown()


@pytest.fixture
def spans(provider: TracerProvider) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def told(service: Any, make_answer: Any) -> list[dict[str, str]]:
    """The metadata of each call that the service got."""
    told: list[dict[str, str]] = []

    def answer(request: Any, context: Any) -> Any:
        told.append(dict(context.invocation_metadata()))
        if request.model_name == "x":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'x'")
        return make_answer()

    service.detect = answer
    return told


def traceparent(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def test_a_call_is_a_span_and_the_server_is_told_which(
    either_client: Any, server: Any, spans: InMemorySpanExporter, told: list[dict[str, str]]
) -> None:
    with either_client(server.url, "garments") as detector:
        detector.detect(b"jpeg", request_id="mine")
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind) == ("pasarela.v1.DetectionService/Detect", SpanKind.CLIENT)
    assert span.attributes is not None
    assert dict(span.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "pasarela.v1.DetectionService",
        "rpc.method": "Detect",
        "rpc.grpc.status_code": 0,
        "server.address": server.url,
        "pasarela.model": "garments",
        "pasarela.request_id": "mine",
    }
    assert [metadata["traceparent"] for metadata in told] == [traceparent(span)]


def test_a_call_that_fails_says_so(
    either_client: Any, server: Any, spans: InMemorySpanExporter, told: list[dict[str, str]]
) -> None:
    with either_client(server.url, "x") as detector, pytest.raises(ModelNotFound):
        detector.detect(b"jpeg")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "there is no model 'x'"
    assert span.attributes is not None
    assert (span.attributes["error.type"], span.attributes["rpc.grpc.status_code"]) == ("ModelNotFound", 5)
    assert [event.name for event in span.events] == ["exception"]


def test_all_tries_of_a_call_are_one_span(
    either_client: Any, server: Any, service: Any, make_answer: Any, spans: InMemorySpanExporter
) -> None:
    told: list[str] = []

    def full_once(request: Any, context: Any) -> Any:
        told.append(dict(context.invocation_metadata())["traceparent"])
        if len(told) == 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
        return make_answer()

    service.detect = full_once
    with either_client(server.url) as detector:
        detector.detect(b"jpeg")
    (span,) = spans.get_finished_spans()
    assert told == [traceparent(span)] * 2


def test_calls_belong_to_what_makes_them_on_other_threads_too(
    server: Any, provider: TracerProvider, spans: InMemorySpanExporter, told: list[dict[str, str]]
) -> None:
    from pasarela_client.sync.detector import Detector

    with Detector(server.url) as detector, provider.get_tracer("test").start_as_current_span("album") as album:
        detector.detect(b"jpeg")
        list(detector.detect_many([b"jpeg"] * 3))
    parents = {span.parent.span_id for span in spans.get_finished_spans() if span.parent}
    assert parents == {album.get_span_context().span_id}
    assert len(spans.get_finished_spans()) == 5


async def test_tasks_belong_to_what_makes_them(
    server: Any, provider: TracerProvider, spans: InMemorySpanExporter, told: list[dict[str, str]]
) -> None:
    from pasarela_client.aio.detector import AsyncDetector

    async with AsyncDetector(server.url) as detector:
        with provider.get_tracer("test").start_as_current_span("album") as album:
            await detector.detect(b"jpeg")
            assert len([result async for result in detector.detect_many([b"jpeg"] * 3)]) == 3
    parents = {span.parent.span_id for span in spans.get_finished_spans() if span.parent}
    assert parents == {album.get_span_context().span_id}
    assert len(spans.get_finished_spans()) == 5


def test_a_program_that_only_hands_traces_on_is_no_obstacle(
    either_client: Any, server: Any, told: list[dict[str, str]]
) -> None:
    """No provider is set, but a trace is current: it came with a request, say."""
    from pasarela_client.sync.detector import Detector

    came = SpanContext(0xA1, 0xB2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with Detector(server.url) as detector, trace.use_span(NonRecordingSpan(came)):
        detector.detect(b"jpeg")
    assert told[0]["traceparent"] == f"00-{0xA1:032x}-{0xB2:016x}-01"


def test_without_a_provider_nothing_is_begun_or_sent(
    either_client: Any, server: Any, told: list[dict[str, str]]
) -> None:
    nothing = begin_span("Detect", url="", model="", request_id="")
    assert nothing is begin_span("StreamDetect", url="", model="", request_id="")
    assert nothing.metadata == ()
    with either_client(server.url) as detector:
        detector.detect(b"jpeg")
    assert "traceparent" not in told[0]


def test_opentelemetry_is_not_imported_for_a_program_that_does_not_trace() -> None:
    program = (
        "import sys\n"
        "from pasarela_client.tracing import begin_span, current_trace\n"
        "span = begin_span('Detect', url='', model='', request_id='')\n"
        "span.end()\n"
        "assert current_trace() is None and span.metadata == ()\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_ending_twice_is_ending_once(spans: InMemorySpanExporter) -> None:
    span = begin_span("Detect", url="u", model="m", request_id="r", parent=current_trace())
    span.end()
    span.end(ValueError("too late"))
    (finished,) = spans.get_finished_spans()
    assert finished.status.status_code is StatusCode.UNSET


def test_each_call_of_a_stream_is_a_span(
    either_client: Any, server: Any, service: Any, spans: InMemorySpanExporter, make_answer: Any
) -> None:
    told: list[dict[str, str]] = []

    def answer(frames: Any, context: Any) -> Any:
        told.append(dict(context.invocation_metadata()))
        first = next(frames)
        yield pb.StreamDetectResponse(frame_index=first.frame_index, response=make_answer())
        if len(told) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        for frame in frames:
            yield pb.StreamDetectResponse(frame_index=frame.frame_index, response=make_answer())

    service.stream = answer
    with either_client(server.url) as detector:
        assert len(list(detector.detect_stream([b"jpeg"] * 3))) == 3
    broken, whole = spans.get_finished_spans()
    assert broken.name == whole.name == "pasarela.v1.DetectionService/StreamDetect"
    assert (broken.status.status_code, whole.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert broken.attributes is not None
    assert broken.attributes["rpc.grpc.status_code"] == grpc.StatusCode.UNAVAILABLE.value[0]
    assert [metadata["traceparent"] for metadata in told] == [traceparent(broken), traceparent(whole)]
