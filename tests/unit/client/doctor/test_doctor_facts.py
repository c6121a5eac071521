"""What the doctor reads out of a server's answers."""

import pytest
from google.protobuf import text_format

from pasarela_client import InvalidRequest, ModelNotFound, ModelUnavailable
from pasarela_client.control_codec import decode_description, decode_statistics
from pasarela_client.doctor.asking import read_setup, read_traffic
from pasarela_client.doctor.examination import setup_below
from pasarela_client.doctor.facts import Facts, Setup
from pasarela_client.doctor.finding import Severity
from pasarela_client.doctor.probing import any_picture, read_timings, tensor_request
from pasarela_client.doctor.readiness import judge_states
from pasarela_client.models import Batching, ModelState, TensorSpec
from pasarela_client.statistics import Duration, ModelStatistics
from pasarela_proto import inference_pb2 as pb
from pasarela_proto import model_config_pb2


def statistics(version: str, requests: int, batches: dict[int, int]) -> ModelStatistics:
    """Each request took 10 ns, each batch 1 + 5 + 1 ns."""
    told = pb.ModelStatistics(
        name="m",
        version=version,
        inference_count=sum(size * count for size, count in batches.items()),
        execution_count=sum(batches.values()),
        inference_stats={
            "success": {"count": requests, "ns": 10 * requests},
            "fail": {"count": 2 * requests, "ns": 1},
            "queue": {"count": requests, "ns": 1 * requests},
            "compute_input": {"count": requests, "ns": 2 * requests},
            "compute_infer": {"count": requests, "ns": 3 * requests},
            "compute_output": {"count": requests, "ns": 4 * requests},
        },
        batch_stats=[
            {
                "batch_size": size,
                "compute_input": {"count": count, "ns": count},
                "compute_infer": {"count": count, "ns": 5 * count},
                "compute_output": {"count": count, "ns": count},
            }
            for size, count in batches.items()
        ],
    )
    return decode_statistics(pb.ModelStatisticsResponse(model_stats=[told]), 0.0).of("m")


def test_traffic_is_what_was_added() -> None:
    traffic = read_traffic(statistics("1", 100, {1: 50, 2: 25}), statistics("1", 120, {1: 50, 2: 30, 4: 3}), 2.0)
    assert (traffic.seconds, traffic.answered, traffic.failed.count) == (2.0, Duration(20, 200), 40)
    assert (traffic.rows, traffic.executions, traffic.mean_batch_rows) == (22, 8, 22 / 8)
    assert {batch.rows: (batch.executions, batch.total_ns) for batch in traffic.batches} == {2: (5, 35), 4: (3, 21)}
    told = Facts(Setup("m"), Setup("m"), traffic).stages_ns
    assert told == {"queue": 1, "compute input": 2, "infer": 3, "compute output": 4, "between": 0}


@pytest.mark.parametrize(
    ("before", "requests"),
    [
        pytest.param(statistics("1", 100, {1: 100}), 20, id="a reload of the same version began anew"),
        pytest.param(statistics("2", 5, {1: 5}), 20, id="another version answers now"),
        pytest.param(None, 20, id="there was none before"),
    ],
)
def test_counts_that_began_anew_are_taken_whole(before: ModelStatistics | None, requests: int) -> None:
    assert read_traffic(before, statistics("1", 20, {1: 20}), 1.0).answered.count == requests


def test_without_statistics_nothing_is_known() -> None:
    nothing = read_traffic(None, None, 5.0)
    assert nothing.seconds == nothing.concurrency == nothing.mean_batch_rows == nothing.busy(1) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            'name: "m" backend: "openvino" max_batch_size: 8 instance_group { count: 2 kind: KIND_CPU }',
            Setup("m", "openvino", 8, None, 2, "CPU"),
            id="nothing is merged",
        ),
        pytest.param(
            'name: "m" platform: "onnxruntime_onnx" max_batch_size: 4 '
            "dynamic_batching { preferred_batch_size: [2, 4] max_queue_delay_microseconds: 500 } "
            "instance_group [{ count: 1 kind: KIND_GPU gpus: [0, 1] }, { count: 1 kind: KIND_GPU gpus: 0 }]",
            Setup("m", "onnxruntime_onnx", 4, Batching(500, (2, 4)), 3, "GPU"),
            id="merged, on two GPUs, as Triton tells it",
        ),
        pytest.param(
            'name: "m" backend: "detection" parameters { key: "model" value { string_value: "raw" } } '
            'parameters { key: "model_version" value { string_value: "3" } }',
            Setup("m", "detection", below="raw", below_version="3"),
            id="a detection model",
        ),
    ],
)
def test_the_setup_is_read_from_the_configuration(text: str, expected: Setup) -> None:
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert read_setup(decode_description(pb.ModelMetadataResponse(), config, {})) == expected


READY = ModelState("m", "2", "READY", "")


@pytest.mark.parametrize(
    ("version", "states", "severities", "says"),
    [
        pytest.param("", [READY], [], "", id="all is well"),
        pytest.param(
            "", [READY, ModelState("m", "1", "UNAVAILABLE", "unloaded")], [Severity.NOTE], "unloaded",
            id="another version answers",
        ),
        pytest.param(
            "1", [READY, ModelState("m", "1", "UNAVAILABLE", "unloaded")], [Severity.PROBLEM], "unloaded",
            id="the version that was named does not",
        ),
        pytest.param(
            "", [ModelState("m", "", "UNAVAILABLE", "config.pbtxt:3:7: no field 'x'")], [Severity.PROBLEM],
            "config.pbtxt:3:7", id="broken",
        ),
        pytest.param("", [ModelState("m", "", "UNKNOWN", "")], [Severity.PROBLEM], "does not say why", id="not loaded"),
    ],
)  # fmt: skip
def test_what_is_not_ready_is_said_with_its_reason(
    version: str, states: list[ModelState], severities: list[Severity], says: str
) -> None:
    found = judge_states("m", version, states)
    assert [finding.severity for finding in found] == severities
    assert all(says in finding.seen and finding.change for finding in found)


RAW = Setup("raw")


@pytest.mark.parametrize(
    ("asked", "answer", "runs", "severities"),
    [
        pytest.param(RAW, RAW, RAW, [], id="it computes itself"),
        pytest.param(Setup("finder", below="raw", below_version="3"), RAW, RAW, [], id="another computes for it"),
        pytest.param(Setup("raw", below="raw"), RAW, Setup("raw", below="raw"), [], id="it names itself"),
        pytest.param(
            Setup("finder", below="raw", below_version="3"), ModelUnavailable("it is loading"), None,
            [Severity.PROBLEM], id="the one that computes is not ready",
        ),
        pytest.param(
            Setup("finder", below="raw", below_version="3"), ModelNotFound("there is none"), None, [Severity.PROBLEM],
            id="the one that computes is not there",
        ),
    ],
)  # fmt: skip
def test_the_model_below_is_followed(
    asked: Setup, answer: Setup | Exception, runs: Setup | None, severities: list[Severity]
) -> None:
    def setup(name: str, version: str) -> Setup:
        assert (name, version) == ("raw", "3")
        if isinstance(answer, Exception):
            raise answer
        return answer

    found, reasons = setup_below(setup, asked)
    assert found == runs
    assert [reason.severity for reason in reasons] == severities
    assert all(str(answer) in reason.seen for reason in reasons)


MODEL = Setup("m", max_batch_size=8, inputs=(TensorSpec("x", "FP32", (-1, 3, -1)), TensorSpec("y", "INT64", (-1, 2))))


def test_a_probe_of_tensors_has_one_row_and_asks_for_timings() -> None:
    request = tensor_request(MODEL, "3", {"x": (3, 5)})
    assert (request.model_name, request.model_version, request.parameters["timings"].bool_param) == ("m", "3", True)
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in request.inputs] == [
        ("x", "FP32", [1, 3, 5]),
        ("y", "INT64", [1, 2]),
    ]
    assert [len(contents) for contents in request.raw_input_contents] == [60, 16]


@pytest.mark.parametrize(
    ("setup", "shapes", "says"),
    [
        pytest.param(MODEL, {}, "--shape x:3,224", id="a free size is left open"),
        pytest.param(MODEL, {"z": (1,)}, "no input 'z'; its inputs: x, y", id="an unknown input"),
        pytest.param(MODEL, {"x": (4, 5)}, r"\[3, -1\].*not \[4, 5\]", id="a size that does not fit"),
        pytest.param(MODEL, {"x": (3, 5, 6)}, r"not \[3, 5, 6\]", id="too many sizes"),
        pytest.param(
            Setup("m", inputs=(TensorSpec("image", "BYTES", (1,)),)), {}, "BYTES, which cannot be made up", id="bytes"
        ),
    ],
)
def test_what_cannot_be_made_up_is_said(setup: Setup, shapes: dict[str, tuple[int, ...]], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        tensor_request(setup, "", shapes)


def test_timings_are_read_from_parameters_if_they_are_there() -> None:
    response = pb.ModelInferResponse(
        parameters={
            "infer_ns": {"int64_param": 7},
            "total_ns": {"int64_param": 9},
            "instance": {"int64_param": 1},
            "close_reason": {"string_param": "full"},
            "triton_final_response": {"bool_param": True},
        }
    )
    told = read_timings(response.parameters, 12)
    assert (told.stages, told.network_ns, told.instance, told.close_reason) == (
        {"infer": 7, "between": 2},
        3,
        1,
        "full",
    )
    assert read_timings({}, 12).round_trip_ns == 12


def test_a_picture_for_who_has_none() -> None:
    assert any_picture().shape == (480, 640, 3)
