"""Traces as they are asked for: by tritonserver's flag, and by OpenTelemetry's variables."""

from pathlib import Path

import pytest

from pasarela_server.config.server import InvalidSetting, resolve
from pasarela_server.config.tracing import TraceConfig, TracePlan, plan_tracing, trace_config

NAMED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mode=opentelemetry", TraceConfig(mode="opentelemetry")),
        (
            "mode=opentelemetry,opentelemetry,url=c:4317,rate=0,level=OFF,count=7",
            TraceConfig(mode="opentelemetry", url="http://c:4317", rate=0, timestamps=False, count=7),
        ),
        ("opentelemetry,url=https://c", TraceConfig(url="https://c")),
        (
            "opentelemetry,resource=service.name=x,opentelemetry,resource=a=b=c",
            TraceConfig(resource=(("service.name", "x"), ("a", "b=c"))),
        ),
        ("triton,file=/t.json,triton,log-frequency=5", TraceConfig(file=Path("/t.json"), log_frequency=5)),
    ],
)
def test_what_can_be_said(text, expected):
    assert trace_config(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mode=jaeger", ["mode", "triton, opentelemetry"]),  # reason: no such mode
        ("rate=x", ["rate", "from 0"]),  # reason: no number
        ("rate=-1", ["rate", "from 0"]),  # reason: below the least
        ("count=-2", ["count", "from -1"]),  # reason: below the least
        ("level=TENSORS", ["level", "TIMESTAMPS"]),  # reason: tensors are not traced
        ("colour=red", ["colour", "opentelemetry,url"]),  # reason: unknown
        ("url=x", ["url", "opentelemetry,url"]),  # reason: the mode is missing before it
        ("opentelemetry", ["<mode>,<setting>=<value>"]),  # reason: no setting behind the mode
        ("jaeger,url=x", ["triton and opentelemetry"]),  # reason: no such mode
        ("triton,triton,file=x", ["triton and opentelemetry"]),  # reason: a mode twice
        ("opentelemetry,url=ftp://x", ["http://host:port"]),  # reason: no such way
        ("opentelemetry,url=localhost:4318/v1/traces", ["gRPC", "4317"]),  # reason: Triton's default, OTLP over HTTP
        ("opentelemetry,resource=x", ["<attribute>=<value>"]),  # reason: no value
        ("triton,file=", ["path"]),  # reason: empty
    ],
)
def test_what_cannot_be_said(text, words):
    with pytest.raises(ValueError) as refused:
        trace_config(text)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    ("said", "environment", "expected"),
    [
        # reason: nobody asked for anything
        (None, {}, TracePlan()),
        # reason: as Triton, one of a thousand unless a rate is said
        (
            "mode=opentelemetry",
            {},
            TracePlan(export=True, required=True, settings={"timestamps": True}),
        ),
        # reason: as all that OpenTelemetry's variables switch on: every request
        (None, NAMED, TracePlan(export=True, settings={"timestamps": True, "rate": 1})),
        (
            "rate=10",
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"},
            TracePlan(export=True, settings={"timestamps": True, "rate": 10}),
        ),
        # reason: the flag is nearer than a variable that all programs of a machine share
        ("mode=triton", NAMED, TracePlan()),
        # reason: the standard's own ways to say no
        (None, {**NAMED, "OTEL_SDK_DISABLED": "true"}, TracePlan()),
        (None, {**NAMED, "OTEL_TRACES_EXPORTER": "none"}, TracePlan()),
        # reason: level=OFF waits for TraceSetting
        ("mode=opentelemetry,level=OFF", {}, TracePlan(export=True, required=True, settings={"timestamps": False})),
        ("triton,file=/t.json,level=TIMESTAMPS,rate=1", {}, TracePlan(file=Path("/t.json"), settings={"timestamps": True, "rate": 1})),
    ],
)  # fmt: skip
def test_what_is_done(said, environment, expected):
    assert plan_tracing(None, None if said is None else trace_config(said), environment) == expected


def test_one_file_is_enough(tmp_path):
    flags = {"model_repository": str(tmp_path), "trace_file": "/a", "trace_config": "triton,file=/b"}
    with pytest.raises(InvalidSetting, match="--trace-file and --trace-config"):
        resolve(flags, {})
    assert plan_tracing(Path("/a"), trace_config("rate=1"), {}).file == Path("/a")
