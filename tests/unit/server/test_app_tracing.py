"""Traces that cannot be sent: a flag that asks for them stops the start, a variable for all programs does not."""

import sys
from types import SimpleNamespace

import pytest

from pasarela_server.app import _send_traces
from pasarela_server.config.tracing import plan_tracing, trace_config
from pasarela_server.observability.otlp import TracingUnavailable
from pasarela_server.observability.tracing import Tracer
from pasarela_server.rpc.status import FailureTable

NAMED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


def loading(said, environment):
    said = None if said is None else trace_config(said)
    return SimpleNamespace(tracing=plan_tracing(None, said, environment), tracer=Tracer())


@pytest.fixture
def without_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)


def test_asked_for_by_a_flag_the_packages_are_needed(without_packages):
    with pytest.raises(TracingUnavailable, match="otel"):
        _send_traces(loading("mode=opentelemetry", {}), FailureTable())


def test_a_variable_that_others_set_keeps_no_server_from_starting(without_packages, caplog):
    asked = loading(None, NAMED)
    _send_traces(asked, FailureTable())
    assert not asked.tracer.sends
    assert "pip install 'pasarela-server[otel]'" in caplog.text


def test_unless_asked_nothing_is_imported(monkeypatch):
    monkeypatch.setattr("pasarela_server.app.export_spans", lambda *_: pytest.fail("nobody asked for it"))
    asked = loading(None, {})
    _send_traces(asked, FailureTable())
    assert not asked.tracer.sends


@pytest.mark.parametrize("said", ["mode=opentelemetry,opentelemetry,url=127.0.0.1:9", None])
def test_with_the_packages_spans_are_sent(said):
    asked = loading(said, NAMED)
    _send_traces(asked, FailureTable())
    assert asked.tracer.sends
    asked.tracer.close()
