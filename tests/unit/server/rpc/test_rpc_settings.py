"""LogSettings and TraceSetting over a socket, on fake models."""

import json

import grpc
import numpy as np
import pytest

from pasarela_proto import detection_pb2
from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import Unsupported
from pasarela_server.observability.logging import LogFormat, LogSettings
from pasarela_server.rpc.trace_settings import decode_trace_changes

LOG = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}
TRACE = {
    "trace_file": ["trace.json"],
    "trace_level": ["OFF"],
    "trace_rate": ["1000"],
    "trace_count": ["-1"],
    "log_frequency": ["0"],
    "trace_mode": ["triton"],
}


async def ask_log(served, **settings):
    """What LogSettings answers, as plain values."""
    response = await served.inference.LogSettings(pb.LogSettingsRequest(settings=settings))
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in response.settings.items()}


async def ask_trace(served, model="", **settings):
    """What TraceSetting answers, as plain lists."""
    written = {name: {"value": values} for name, values in settings.items()}
    response = await served.inference.TraceSetting(pb.TraceSettingRequest(model_name=model, settings=written))
    return {name: list(value.value) for name, value in response.settings.items()}


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_log_settings_are_read_and_changed(served):
    assert await ask_log(served) == LOG
    changed = await ask_log(
        served,
        log_info={"bool_param": False},
        log_verbose_level={"uint32_param": 2},
        log_format={"string_param": "ISO8601"},
    )
    assert changed == LOG | {"log_info": False, "log_verbose_level": 2, "log_format": "ISO8601"}
    assert served.log.settings == LogSettings(info=False, verbose_level=2, format=LogFormat.ISO8601)
    assert await ask_log(served, log_format={"string_param": "default"}) == changed | {"log_format": "default"}


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        pytest.param({"log_file": {"string_param": "/x"}}, "UNIMPLEMENTED", ["log_file"], id="a path on the server"),
        pytest.param(
            {"log_colour": {"bool_param": True}}, "INVALID_ARGUMENT", ["log_colour", "log_info"], id="unknown"
        ),
        pytest.param({"log_info": {"string_param": "true"}}, "INVALID_ARGUMENT", ["log_info", "bool"], id="text"),
        pytest.param({"log_info": {}}, "INVALID_ARGUMENT", ["log_info", "no value"], id="no value"),
        pytest.param({"log_verbose_level": {"bool_param": True}}, "INVALID_ARGUMENT", ["uint32"], id="no number"),
        pytest.param({"log_format": {"string_param": "iso"}}, "INVALID_ARGUMENT", ["'iso'", "ISO8601"], id="no format"),
    ],
)
async def test_log_settings_that_are_refused_change_nothing(served, settings, code, words):
    failure = await refusal(ask_log(served, log_error={"bool_param": False}, **settings))
    assert failure.code().name == code
    assert all(word in failure.details() for word in words)
    assert await ask_log(served) == LOG


async def test_trace_settings_are_read_and_changed(served):
    assert await ask_trace(served) == TRACE
    changed = await ask_trace(served, trace_level=["TIMESTAMPS"], trace_rate=["5"], trace_count=["7"])
    assert changed == TRACE | {"trace_level": ["TIMESTAMPS"], "trace_rate": ["5"], "trace_count": ["7"]}
    assert await ask_trace(served, trace_rate=[], trace_mode=["triton"]) == changed | {"trace_rate": ["1000"]}
    assert await ask_trace(served, trace_level=["OFF"], trace_count=[]) == TRACE


async def test_a_models_trace_settings_fall_back_to_the_global_ones(served):
    await ask_trace(served, "m", trace_rate=["1"])
    assert await ask_trace(served, trace_level=["TIMESTAMPS"]) == TRACE | {"trace_level": ["TIMESTAMPS"]}
    assert await ask_trace(served, "m") == TRACE | {"trace_level": ["TIMESTAMPS"], "trace_rate": ["1"]}
    assert await ask_trace(served, "m", trace_rate=[]) == TRACE | {"trace_level": ["TIMESTAMPS"]}


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        pytest.param(
            {"trace_file": ["/x"]}, "UNIMPLEMENTED", ["trace_file", "--trace-file"], id="a path on the server"
        ),
        pytest.param({"trace_level": ["TENSORS"]}, "UNIMPLEMENTED", ["TENSORS"], id="tensors"),
        pytest.param({"trace_level": ["timestamps"]}, "INVALID_ARGUMENT", ["TIMESTAMPS"], id="unknown level"),
        pytest.param({"trace_level": ["OFF", "TIMESTAMPS"]}, "INVALID_ARGUMENT", ["OFF alone"], id="off and on"),
        pytest.param({"trace_mode": ["opentelemetry"]}, "UNIMPLEMENTED", ["opentelemetry", "'triton'"], id="mode"),
        pytest.param({"trace_rate": ["0"]}, "INVALID_ARGUMENT", ["trace_rate", "from 1", "'0'"], id="rate zero"),
        pytest.param({"trace_rate": ["x"]}, "INVALID_ARGUMENT", ["'x'"], id="rate in words"),
        pytest.param({"trace_rate": ["1", "2"]}, "INVALID_ARGUMENT", ["'1', '2'"], id="two rates"),
        pytest.param({"trace_rate": ["9" * 40]}, "INVALID_ARGUMENT", ["trace_rate"], id="rate beyond 32 bits"),
        pytest.param({"trace_count": ["-2"]}, "INVALID_ARGUMENT", ["from -1", "'-2'"], id="count below -1"),
        pytest.param({"log_frequency": ["-1"]}, "INVALID_ARGUMENT", ["from 0", "'-1'"], id="frequency below 0"),
        pytest.param({"trace_colour": ["1"]}, "INVALID_ARGUMENT", ["trace_colour", "trace_rate"], id="unknown"),
    ],
)
async def test_trace_settings_that_are_refused_change_nothing(served, settings, code, words):
    failure = await refusal(ask_trace(served, "m", **({"log_frequency": ["9"], "trace_count": ["9"]} | settings)))
    assert failure.code().name == code
    assert all(word in failure.details() for word in words)
    assert await ask_trace(served, "m") == TRACE


async def test_trace_settings_of_an_unknown_model(served):
    failure = await refusal(ask_trace(served, "other", trace_rate=["1"]))
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "'other'" in failure.details()


def test_without_a_file_the_flag_is_named():
    assert decode_trace_changes({"trace_level": ["OFF"], "trace_rate": ["3"]}, "") == {"timestamps": False, "rate": 3}
    with pytest.raises(Unsupported, match="--trace-file PATH"):
        decode_trace_changes({"trace_level": ["TIMESTAMPS"]}, "")


async def test_both_services_are_traced_request_by_request(served, tmp_path):
    await ask_trace(served, "m", trace_level=["TIMESTAMPS"], trace_rate=["1"])
    request = pb.ModelInferRequest(
        model_name="m",
        id="r7",
        inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 2]}],
        raw_input_contents=[np.zeros((1, 2), np.float32).tobytes()],
    )
    await served.inference.ModelInfer(request)
    _ = [reply async for reply in served.inference.ModelStreamInfer(iter([request]))]
    await served.detection.Detect(detection_pb2.DetectRequest(model_name="m", id="r8", image={"encoded": b"jpeg"}))
    served.tracer.close()

    found = json.loads((tmp_path / "trace.json").read_text())
    assert [each["request_id"] for each in found[::2]] == ["r7", "r7", "r8"]
    assert {each["model_version"] for each in found[::2]} == {3}
    assert [each["id"] for each in found] == [1, 1, 2, 2, 3, 3]
