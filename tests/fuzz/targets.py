"""What is fuzzed: each takes any bytes, as a client or a file may bring them, and says what came of it.

A target raises only for a fault of the server's: an error that is no `ServingError`, one that would reach the client as
INTERNAL, an answer that is missing, or a value that is not what was sent.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from enum import Enum

import numpy as np
from google.protobuf.message import DecodeError
from typing_extensions import override

from pasarela_proto import detection_pb2, inference_pb2
from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.config.complete import complete
from pasarela_server.config.pbtxt import json_to_pbtxt, parse_model_config
from pasarela_server.config.plan import plan_load
from pasarela_server.config.warmup import read_warmup
from pasarela_server.detection.image import decode_image
from pasarela_server.errors import BackendFailure, ServingError
from pasarela_server.observability.record import NOBODY, Caller
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.codec import decode_request
from pasarela_server.rpc.detection import ImageService
from pasarela_server.rpc.detection_codec import decode_deadline_s, decode_image_source, decode_overrides
from pasarela_server.rpc.messages import read_request
from pasarela_server.rpc.status import FailureTable, status_codes
from pasarela_server.rpc.tensor_codec import decode_raw, encode_raw
from pasarela_server.rpc.version import parse_version
from pasarela_server.rpc.wire import split_off
from pasarela_server.shared_memory.regions import Regions
from pasarela_server.tensor import DataType, TensorSpec
from tests.fuzz.choices import Choices

MOST_PIXELS = 2**18
_RAW_INPUTS = inference_pb2.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_DATATYPES = ("FP32", "BYTES", "INT8", "UINT64", "FP16", "BOOL", "BF16", "FP64", "", "fp32", "STRING")
_SIZES = (1, 2, 0, 3, -1, 2**31, 2**63 - 1, -(2**63), 7)
_NAMES = ("x", "y", "", "images", "x" * 300)
_PARAMETERS = (
    *("timeout", "priority", "binary_data_size", "shared_memory_region", "shared_memory_byte_size", "sequence_id"),
    *("shared_memory_offset", "classification", "confidence", "timings", "triton_enable_empty_final_response"),
)
_ARTEFACT = ArtefactSpec(
    inputs=(TensorSpec("images", DataType.FP32, (-1, 3, 320, 320)),),
    outputs=(TensorSpec("output0", DataType.FP32, (-1, 17, 2100)),),
    batched=True,
)


class Came(Enum):
    """What came of an input."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


Target = Callable[[bytes], Came]


def _refusal(error: ServingError) -> Came:
    """Refused, unless the client is told that the server is at fault."""
    if isinstance(error, BackendFailure):
        raise error
    return Came.REFUSED


def wire(content: bytes) -> Came:
    """A ModelInferRequest as it comes off the wire: the short way around protobuf reads what protobuf reads."""
    try:
        expected = inference_pb2.ModelInferRequest.FromString(content)
    except DecodeError:
        expected = None
    split = split_off(content, _RAW_INPUTS)
    if split is not None and expected is not None:
        rest, raw = split
        assert [bytes(value) for value in raw] == list(expected.raw_input_contents)
        found = inference_pb2.ModelInferRequest.FromString(rest)
        assert not found.raw_input_contents
        found.raw_input_contents.extend(expected.raw_input_contents)
        assert found.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    if expected is None:
        return Came.REFUSED
    received = read_request(content)
    try:
        decode_request(received.message, received.raw, Regions())
    except ServingError as error:
        return _refusal(error)
    return Came.ACCEPTED


def request(content: bytes) -> Came:
    """A ModelInferRequest that is well-formed, and wrong in any other way."""
    choices = Choices(content)
    message = inference_pb2.ModelInferRequest(model_name=choices.pick(_NAMES), model_version=choices.text(3))
    _add_parameters(choices, message.parameters)
    for _ in range(choices.number(0, 3)):
        tensor = message.inputs.add(name=choices.pick(_NAMES), datatype=choices.pick(_DATATYPES))
        tensor.shape.extend(choices.pick(_SIZES) for _ in range(choices.number(0, 4)))
        if choices.chance(4):
            _add_parameters(choices, tensor.parameters)
        if choices.chance(3):
            _add_contents(choices, tensor.contents)
    for _ in range(choices.number(0, 2)):
        _add_parameters(choices, message.outputs.add(name=choices.pick(_NAMES)).parameters)
    for _ in range(choices.number(0, 3)):
        message.raw_input_contents.append(choices.content(choices.number(0, 64)))
    try:
        decoded, _ = decode_request(message, message.raw_input_contents, Regions(), now_s=1.0, remaining_s=None)
    except ServingError as error:
        return _refusal(error)
    for array in (one.array for one in decoded.inputs):
        assert array.size == math.prod(array.shape)
    return Came.ACCEPTED


def _add_parameters(choices: Choices, parameters: Mapping[str, inference_pb2.InferParameter]) -> None:
    for _ in range(choices.number(0, 2)):
        parameter = parameters[choices.pick(_PARAMETERS)]
        match choices.number(0, 4):
            case 0:
                parameter.int64_param = choices.number(-(2**63), 2**63 - 1)
            case 1:
                parameter.string_param = choices.text(8)
            case 2:
                parameter.bool_param = True
            case 3:
                parameter.uint64_param = choices.number(0, 2**64 - 1)
            case _:
                parameter.double_param = choices.pick((0.0, -1.0, float("inf"), float("nan"), 1e308))


def _add_contents(choices: Choices, contents: inference_pb2.InferTensorContents) -> None:
    match choices.number(0, 3):
        case 0:
            contents.fp32_contents.extend([choices.pick((0.0, 1e38, float("nan")))] * choices.number(0, 5))
        case 1:
            contents.bytes_contents.extend([choices.content(3)] * choices.number(0, 5))
        case 2:
            contents.int_contents.extend([choices.number(-(2**31), 2**31 - 1)] * choices.number(0, 5))
        case _:
            contents.uint64_contents.extend([choices.number(0, 2**64 - 1)] * choices.number(0, 5))


def tensor(content: bytes) -> Came:
    """The raw contents of one tensor of a known type and shape; what is accepted is sent back as it came."""
    choices = Choices(content)
    datatype = choices.pick(list(DataType))
    shape = tuple(choices.number(0, 9) for _ in range(choices.number(0, 3)))
    raw = choices.rest()
    try:
        array = decode_raw("tensor", datatype, shape, raw)
    except ServingError as error:
        return _refusal(error)
    assert array.shape == shape
    if datatype is not DataType.BOOL:  # any byte but 0 is true, and true is 1
        assert bytes(encode_raw(datatype, array)) == raw
    return Came.ACCEPTED


def config(content: bytes) -> Came:
    """A config.pbtxt, or the JSON that a client sends with a load, all the way to what would be served."""
    text = content.decode("utf-8", "replace")
    try:
        if text.startswith("{"):
            text = json_to_pbtxt(text, "m")
        written = parse_model_config(text, "m/config.pbtxt")
        artefacts = {"onnxruntime": "model.onnx", "openvino": "model.xml"}
        plan = plan_load(written, "m", ["model.onnx"], artefacts, 2, "m/config.pbtxt")
        completed = complete(written, _ARTEFACT, plan, "m/config.pbtxt")
        read_warmup(written, completed.config.inputs, completed.config.max_batch_size, "m/config.pbtxt")
    except ServingError as error:
        return _refusal(error)
    return Came.ACCEPTED


def image(content: bytes) -> Came:
    """An image file. However small, it never becomes more pixels than are allowed."""
    try:
        pixels = decode_image(content, max_pixels=MOST_PIXELS)
    except ServingError as error:
        return _refusal(error)
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.dtype == np.uint8
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MOST_PIXELS
    return Came.ACCEPTED


def frames(content: bytes) -> Came:
    """A stream of frames, each wrong in its own way: every one is answered, once, in its place."""
    choices = Choices(content)
    sent = []
    for index in range(choices.number(0, 6)):
        frame = detection_pb2.StreamDetectRequest(frame_index=index)
        if not choices.chance(4):
            _fill(choices, frame.request)
        sent.append(frame)
    answers = asyncio.run(_answered(sent))
    assert [answer.frame_index for answer in answers] == list(range(len(sent)))
    codes = {answer.error.code for answer in answers if answer.WhichOneof("result") == "error"}
    assert all(answer.WhichOneof("result") for answer in answers)
    assert 13 not in codes, "INTERNAL"
    return Came.REFUSED if codes else Came.ACCEPTED


def _fill(choices: Choices, detect: detection_pb2.DetectRequest) -> None:
    detect.model_name = choices.pick(_NAMES)
    detect.model_version = choices.text(3)
    detect.priority, detect.timeout_us = choices.number(0, 2**32 - 1), choices.number(0, 2**64 - 1)
    match choices.number(0, 3):
        case 0:
            detect.image.encoded = choices.content(40)
        case 1:
            raw = detect.image.raw
            raw.height, raw.width = choices.number(0, 3), choices.pick((1, 2, 2**31, 2**32 - 1))
            raw.pixels = choices.content(choices.number(0, 20))
        case _:
            detect.image.SetInParent()
    if choices.chance(2):
        detect.options.confidence = choices.pick((0.5, -1.0, 2.0, float("nan"), float("inf")))
        detect.options.max_detections = choices.number(0, 2**32 - 1)
        detect.options.class_names.append(choices.text(5))
        detect.options.class_ids.append(choices.number(0, 2**32 - 1))


class _Eyes(ImageService):
    """Understands every request, and finds nothing."""

    @override
    async def answer(
        self, request: detection_pb2.DetectRequest, remaining_s: float | None, caller: Caller = NOBODY
    ) -> detection_pb2.DetectResponse:
        parse_version(request.model_name, request.model_version)
        source = decode_image_source("m", request.image)
        decode_overrides(request)
        decode_deadline_s(request, 0, remaining_s)
        if isinstance(source, bytes):
            decode_image(source, max_pixels=MOST_PIXELS)
        return detection_pb2.DetectResponse()


async def _answered(sent: list[detection_pb2.StreamDetectRequest]) -> list[detection_pb2.StreamDetectResponse]:
    async def requests() -> AsyncIterator[detection_pb2.StreamDetectRequest]:
        for frame in sent:
            yield frame

    service = _Eyes(OpenCalls(), FailureTable(status_codes()))
    return [answer async for answer in service.StreamDetect(requests(), None)]  # type: ignore[arg-type]


TARGETS: Mapping[str, Target] = {
    "wire": wire,
    "request": request,
    "tensor": tensor,
    "config": config,
    "image": image,
    "frames": frames,
}
