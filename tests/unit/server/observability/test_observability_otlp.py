"""What sends spans: it holds nobody up, survives what it cannot send, and says what is missing."""

import sys
import threading

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from pasarela_server.errors import QueueFull
from pasarela_server.observability import otlp
from pasarela_server.observability.otlp import SpanExport, TracingUnavailable, export_spans
from pasarela_server.observability.record import Caller, RequestRecord
from pasarela_server.request import NO_TIMINGS, Timings

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALLER = Caller("s.S/M", PARENT, "vendor=1")
TIMINGS = Timings(submitted_ns=20, queue_ns=5, infer_ns=20, batch_size=1, batch_began_ns=30)


def record(request_id="r7", error=None, caller=CALLER):
    return RequestRecord("m", 1, request_id, 10, 100, 1, NO_TIMINGS if error else TIMINGS, error, caller)


class Kept(SpanProcessor):
    """Keeps spans; each waits until it may go."""

    def __init__(self):
        self.spans = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.ended = threading.Event()

    def on_end(self, span):
        self.may_go.wait()
        self.spans.append(span)

    def shutdown(self):
        self.ended.set()


def export(processor, resource=None):
    return SpanExport(processor, lambda kind: "UNAVAILABLE", resource or {})


def test_requests_become_spans_of_the_sdk():
    kept = Kept()
    sending = export(kept, {"service.name": "garments", "zone": "a"})
    sending.add(record())
    sending.add(record(error=QueueFull))
    sending.close(60)
    assert kept.ended.is_set()
    answered, *stages, failed = kept.spans
    assert (answered.name, answered.kind) == ("s.S/M", SpanKind.SERVER)
    assert (answered.parent.span_id, answered.parent.is_remote) == (0x00F067AA0BA902B7, True)
    assert answered.context.trace_state.to_header() == "vendor=1"
    assert {"service.name": "garments", "zone": "a"}.items() <= dict(answered.resource.attributes).items()
    assert [span.name for span in stages] == ["queue", "batch", "infer", "batch"]
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "UNAVAILABLE")
    assert answered.end_time - answered.start_time == 90
    assert answered.end_time > 1_700_000_000 * 10**9, "since the epoch"


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "pasarela"),  # reason: nobody has named it
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),  # reason: the standard variable
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours,a=b"}, "ours"),  # reason: the other one
    ],
)
def test_the_server_has_a_name(monkeypatch, environment, name):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    kept = Kept()
    sending = export(kept)
    sending.add(record())
    sending.close(60)
    assert kept.spans[0].resource.attributes["service.name"] == name


def test_more_than_can_be_sent_is_dropped_and_said_once(monkeypatch, caplog):
    monkeypatch.setattr(otlp, "_MOST_WAITING", 3)
    kept = Kept()
    kept.may_go.clear()
    sending = export(kept)
    for number in range(20):
        sending.add(record(str(number)))
    kept.may_go.set()
    sending.close(60)
    sent = [span for span in kept.spans if span.kind is SpanKind.SERVER]
    assert 3 <= len(sent) <= 4
    assert [each.getMessage() for each in caplog.records] == [
        "traces come faster than they can be sent: some are dropped"
    ]


def test_a_request_that_cannot_be_made_spans_of_harms_no_other(caplog):
    kept = Kept()
    sending = export(kept)
    sending.add(record()._replace(timings=None))
    sending.add(record("good"))
    sending.close(60)
    assert kept.spans[-1].name
    assert any(span.attributes.get("pasarela.request_id") == "good" for span in kept.spans)
    assert "a request could not be traced" in caplog.text


def test_an_end_that_takes_too_long_is_not_waited_for(caplog):
    kept = Kept()
    kept.may_go.clear()
    sending = export(kept)
    sending.add(record())
    sending.close(0)
    assert "the last ones are lost" in caplog.text
    sending.add(record("late"))
    kept.may_go.set()
    assert kept.ended.wait(60)
    assert not [span for span in kept.spans if span.attributes.get("pasarela.request_id") == "late"]


def test_without_the_packages_the_command_that_installs_them_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(TracingUnavailable, match=r"pip install 'pasarela-server\[otel\]'"):
        export_spans("", {}, str)


@pytest.mark.parametrize(
    ("environment", "refused"),
    [
        # reason: a collector's HTTP port understands no gRPC, and would be asked in vain for ever
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "OTEL_EXPORTER_OTLP_PROTOCOL asks for http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL asks for http/json"),
        # reason: the variable for traces wins over that for everything
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, ""),
    ],
)
def test_another_protocol_is_refused(monkeypatch, environment, refused):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    if not refused:
        export_spans("http://127.0.0.1:9", {}, str).close(60)
        return
    with pytest.raises(TracingUnavailable, match=refused):
        export_spans("http://127.0.0.1:9", {}, str)
