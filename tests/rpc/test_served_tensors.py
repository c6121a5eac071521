"""Requests in tensors that do not fit, row by row, on a real model."""

import grpc
import numpy as np
import pytest

from pasarela_proto import inference_pb2 as pb


@pytest.fixture
def side(stubs):
    """Pixels on each side of a picture that the model takes."""
    config = stubs.inference.ModelConfig(pb.ModelConfigRequest(name="garments_onnx")).config
    fixed = config.input[0].dims[-1]
    return fixed if fixed > 0 else 64


def request(side, *, shape=None, data=None, **changes):
    shape = [1, 3, side, side] if shape is None else shape
    data = np.zeros(shape, np.float32).tobytes() if data is None else data
    fields = {
        "model_name": "garments_onnx",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": shape}],
        "raw_input_contents": [data],
    }
    return pb.ModelInferRequest(**(fields | changes))


def test_one_that_fits(stubs, side):
    response = stubs.inference.ModelInfer(request(side, id="r7", model_version="1"))
    assert (response.model_name, response.model_version, response.id) == ("garments_onnx", "1", "r7")
    assert [output.name for output in response.outputs] == ["output0"]
    assert len(response.raw_output_contents[0]) == 4 * np.prod(response.outputs[0].shape)


X = {"name": "images", "datatype": "FP32", "shape": [1, 1, 1, 1]}

BAD = [
    pytest.param(
        lambda side: request(side, shape=[1, 4, side, side]),
        "INVALID_ARGUMENT",
        ["images", "[-1, 3, ", "[1, 4, "],
        id="four channels",
    ),
    pytest.param(
        lambda side: request(side, shape=[3, side, side]),
        "INVALID_ARGUMENT",
        ["images", "[3, "],
        id="no batch dimension",
    ),
    pytest.param(
        lambda side: request(side, shape=[-1, 3, side, side], data=b""),
        "INVALID_ARGUMENT",
        ["images", "not negative", "[-1, 3, "],
        id="a size left open",
    ),
    pytest.param(
        lambda side: request(side, shape=[0, 3, side, side]), "INVALID_ARGUMENT", ["images", "[0, 3, "], id="no rows"
    ),
    pytest.param(
        lambda side: request(side, shape=[64, 3, side, side]), "INVALID_ARGUMENT", ["batch", "64"], id="batch too large"
    ),
    pytest.param(
        lambda side: request(
            side,
            inputs=[{"name": "images", "datatype": "UINT8", "shape": [1, 3, side, side]}],
            raw_input_contents=[bytes(3 * side * side)],
        ),
        "INVALID_ARGUMENT",
        ["images", "FP32", "UINT8"],
        id="wrong datatype",
    ),
    pytest.param(
        lambda side: request(side, inputs=[X | {"datatype": "FLOAT"}]),
        "INVALID_ARGUMENT",
        ["images", "'FLOAT'", "FP32"],
        id="unknown datatype",
    ),
    pytest.param(
        lambda side: request(side, data=b"1234"), "INVALID_ARGUMENT", ["images", "got 4"], id="raw data too short"
    ),
    pytest.param(
        lambda side: request(side, data=bytes(12 * side * side + 1)),
        "INVALID_ARGUMENT",
        ["images", "expected"],
        id="raw data too long",
    ),
    pytest.param(
        lambda side: request(side, raw_input_contents=[]), "INVALID_ARGUMENT", ["images", "no data"], id="no data"
    ),
    pytest.param(
        lambda side: request(side, raw_input_contents=[b"", b""]),
        "INVALID_ARGUMENT",
        ["1 inputs", "got 2"],
        id="more buffers than inputs",
    ),
    pytest.param(
        lambda side: request(side, inputs=[X | {"contents": {"fp32_contents": [1]}}], raw_input_contents=[bytes(4)]),
        "INVALID_ARGUMENT",
        ["images", "both"],
        id="contents and raw",
    ),
    pytest.param(
        lambda side: request(side, inputs=[X | {"contents": {"int_contents": [1]}}], raw_input_contents=[]),
        "INVALID_ARGUMENT",
        ["images", "fp32_contents", "int_contents"],
        id="wrong typed list",
    ),
    pytest.param(
        lambda side: request(side, inputs=[X | {"name": "image"}], raw_input_contents=[bytes(4)]),
        "INVALID_ARGUMENT",
        ["'image'", "'images'"],
        id="unknown input",
    ),
    pytest.param(
        lambda side: request(side, inputs=[], raw_input_contents=[]), "INVALID_ARGUMENT", ["images"], id="no input"
    ),
    pytest.param(
        lambda side: request(side, outputs=[{"name": "boxes"}]),
        "INVALID_ARGUMENT",
        ["'boxes'", "'output0'"],
        id="unknown output",
    ),
    pytest.param(
        lambda side: request(side, parameters={"timeout": {"string_param": "1"}}),
        "INVALID_ARGUMENT",
        ["timeout", "string"],
        id="timeout as text",
    ),
    pytest.param(
        lambda side: request(side, parameters={"triton_x": {"bool_param": True}}),
        "INVALID_ARGUMENT",
        ["triton_x", "reserved"],
        id="reserved parameter",
    ),
    pytest.param(
        lambda side: request(side, model_version="0"), "INVALID_ARGUMENT", ["'0'", "positive"], id="version zero"
    ),
    pytest.param(lambda side: request(side, model_version="77"), "NOT_FOUND", ["garments_onnx", "77"], id="version 77"),
    pytest.param(lambda side: request(side, model_name="trousers"), "NOT_FOUND", ["'trousers'"], id="unknown model"),
    pytest.param(
        lambda side: request(
            side, inputs=[X | {"parameters": {"shared_memory_region": {"string_param": "r"}}}], raw_input_contents=[]
        ),
        "INVALID_ARGUMENT",
        ["images", "shared_memory_byte_size"],
        id="shared memory without a length",
    ),
]


@pytest.mark.parametrize(("build", "code", "texts"), BAD)
def test_requests_that_do_not_fit(stubs, side, build, code, texts):
    with pytest.raises(grpc.RpcError) as caught:
        stubs.inference.ModelInfer(build(side))
    failure = caught.value

    assert failure.code().name == code
    for text in texts:
        assert text in failure.details()
    if code == "INVALID_ARGUMENT":
        assert "garments_onnx" in failure.details()


def test_the_server_is_well_after_all_that(stubs, side):
    assert stubs.inference.ServerReady(pb.ServerReadyRequest()).ready
    stubs.inference.ModelInfer(request(side))
