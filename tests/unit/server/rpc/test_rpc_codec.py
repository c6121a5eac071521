"""Whole requests and responses to and from protobuf."""

import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.request import InferResponse
from pasarela_server.rpc import codec
from pasarela_server.rpc.codec import encode_response
from pasarela_server.shared_memory.regions import Regions
from pasarela_server.tensor import DataType, Tensor


def message(**changes):
    fields = {
        "model_name": "m",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}],
        "raw_input_contents": [np.float32([1, 2]).tobytes()],
    }
    return pb.ModelInferRequest(**(fields | changes))


def decode_request(request, **clock):
    return codec.decode_request(request, request.raw_input_contents, Regions(), **clock).request


def test_a_whole_request():
    decoded = decode_request(
        message(
            model_version="3",
            id="r7",
            outputs=[{"name": "b"}, {"name": "a"}],
            parameters={"priority": {"uint64_param": 1}, "note": {"string_param": "hello"}},
        )
    )

    assert (decoded.model_name, decoded.model_version, decoded.id) == ("m", 3, "r7")
    assert decoded.requested_outputs == ("b", "a")
    assert decoded.parameters == {"priority": 1, "note": "hello"}
    assert decoded.deadline_monotonic_s is None
    (tensor,) = decoded.inputs
    assert (tensor.name, tensor.datatype) == ("x", DataType.FP32)
    np.testing.assert_array_equal(tensor.array, [[1, 2]])


def test_no_version_asks_for_the_highest():
    assert decode_request(message()).model_version is None


def test_raw_buffers_belong_to_inputs_by_position():
    decoded = decode_request(
        message(
            inputs=[
                {"name": "x", "datatype": "UINT8", "shape": [1]},
                {"name": "y", "datatype": "UINT8", "shape": [2]},
            ],
            raw_input_contents=[b"\x01", b"\x02\x03"],
        )
    )
    assert {tensor.name: tensor.array.tolist() for tensor in decoded.inputs} == {"x": [1], "y": [2, 3]}


def test_typed_contents_instead_of_raw():
    decoded = decode_request(
        message(
            inputs=[{"name": "x", "datatype": "INT64", "shape": [2], "contents": {"int64_contents": [4, 5]}}],
            raw_input_contents=[],
        )
    )
    assert decoded.inputs[0].array.tolist() == [4, 5]


def test_an_empty_tensor_needs_no_data():
    decoded = decode_request(
        message(inputs=[{"name": "x", "datatype": "FP32", "shape": [0, 2]}], raw_input_contents=[])
    )
    assert decoded.inputs[0].array.shape == (0, 2)


X = {"name": "x", "datatype": "FP32", "shape": [1, 2]}


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        pytest.param({"raw_input_contents": []}, ["input 'x'", "[1, 2]", "no data"], id="no data"),
        pytest.param(
            {"inputs": [X | {"contents": {"fp32_contents": [1, 2]}}]}, ["input 'x'", "got both"], id="raw and typed"
        ),
        pytest.param({"raw_input_contents": [b"", b""]}, ["each of 1 inputs", "got 2"], id="more buffers than inputs"),
        pytest.param({"inputs": [X, X | {"name": "y"}]}, ["each of 2 inputs", "got 1"], id="fewer buffers than inputs"),
        pytest.param(
            {"inputs": [X, X], "raw_input_contents": [b"", b""]}, ["input 'x'", "got 2 times"], id="one name twice"
        ),
        pytest.param(
            {
                "inputs": [{"name": name, "datatype": "BYTES", "shape": [40_000]} for name in "xy"],
                "raw_input_contents": [bytes(160_000)] * 2,
            },
            ["all inputs together", "at most 65536 BYTES elements", "got 80000"],
            id="texts without end",
        ),
        pytest.param({"outputs": [{"name": "y"}] * 1025}, ["at most 1024 outputs", "got 1025"], id="a crowd"),
        pytest.param({"inputs": [X | {"datatype": "FLOAT"}]}, ["input 'x'", "FP32", "'FLOAT'"], id="unknown type"),
        pytest.param({"inputs": [X | {"shape": [-1, 2]}]}, ["input 'x'", "[-1, 2]"], id="negative size"),
        pytest.param({"inputs": [X | {"shape": [1, 3]}]}, ["expected 12 bytes", "got 8"], id="wrong length"),
        pytest.param({"model_version": "0"}, ["positive integer", "'0'"], id="version zero"),
        pytest.param({"model_version": "-1"}, ["positive integer", "'-1'"], id="negative version"),
        pytest.param({"model_version": "No 1"}, ["positive integer", "'No 1'"], id="neither number nor label"),
        pytest.param({"model_version": "01"}, ["positive integer", "'01'"], id="leading zero"),
        pytest.param({"model_version": "9" * 30}, ["positive integer"], id="version beyond 64 bits"),
        pytest.param({"model_version": "\u0661"}, ["positive integer"], id="digits of another script"),
    ],
)
def test_contradictions_are_refused(changes, texts):
    with pytest.raises(InvalidRequest, match=r"^model 'm'") as refusal:
        decode_request(message(**changes))
    for text in texts:
        assert text in str(refusal.value)


def test_an_output_that_is_asked_for_twice_is_answered_once():
    decoded = decode_request(message(outputs=[{"name": "b"}, {"name": "a"}, {"name": "b"}]))
    assert decoded.requested_outputs == ("b", "a")


def test_a_response():
    outputs = (
        Tensor("b", DataType.FP32, np.float32([[1, 2, 3]])),
        Tensor("t", DataType.BYTES, np.array([b"ab"], object)),
    )
    encoded = pb.ModelInferResponse()
    raw = encode_response(InferResponse("m", 12, outputs, id="r7"), encoded)

    assert (encoded.model_name, encoded.model_version, encoded.id) == ("m", "12", "r7")
    assert [(out.name, out.datatype, list(out.shape)) for out in encoded.outputs] == [
        ("b", "FP32", [1, 3]),
        ("t", "BYTES", [1]),
    ]
    assert raw == [np.float32([1, 2, 3]).tobytes(), b"\x02\x00\x00\x00ab"]
