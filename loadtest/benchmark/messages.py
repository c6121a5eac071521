"""The requests that load generators send, serialised beforehand, and where they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pasarela_proto import detection_pb2, inference_pb2

Kind = Literal["detect", "infer", "tensor"]
"""`detect`: an image to DetectionService; `infer`: the same to ModelInfer, as BYTES; `tensor`: a float tensor."""

_DETECT = "/pasarela.v1.DetectionService/Detect"
_INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, slots=True)
class Traffic:
    """A method, the messages that go to it in turn, and how its answers are read."""

    method: str
    messages: tuple[bytes, ...]
    parse: Callable[[bytes], Any]


def traffic(
    kind: Kind,
    model: str,
    images: Sequence[bytes],
    input_name: str = "",
    shape: Sequence[int] = (),
    regions: tuple[str, str] | None = None,
    output_bytes: int = 0,
    output_names: Sequence[str] = (),
) -> Traffic:
    """Builds what one load sends.

    Args:
        kind: What is sent, and to which method.
        model: The model.
        images: Encoded images; not looked at for tensors.
        input_name: The model's input, for `infer` and `tensor`.
        shape: Of the tensor, and for `infer` of the one string that holds the image.
        regions: For a tensor in shared memory: the names under which input and output regions were registered.
        output_bytes: For a tensor in shared memory: the size of the answer.
        output_names: For a tensor in shared memory: the outputs; it may have one only.
    """
    if kind == "detect":
        requests = [
            detection_pb2.DetectRequest(model_name=model, image=detection_pb2.Image(encoded=image)) for image in images
        ]
        messages = tuple(request.SerializeToString() for request in requests)
        return Traffic(_DETECT, messages, detection_pb2.DetectResponse.FromString)
    if kind == "infer":
        messages = tuple(_infer(model, input_name, "BYTES", shape, _string(image)) for image in images)
    elif regions is None:
        tensor = np.zeros(tuple(shape), np.float32)
        messages = (_infer(model, input_name, "FP32", shape, tensor.tobytes()),)
    else:
        (output_name,) = output_names
        messages = (_infer_shared(model, input_name, shape, output_name, output_bytes, regions),)
    return Traffic(_INFER, messages, inference_pb2.ModelInferResponse.FromString)


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "little") + content


def _infer(model: str, name: str, datatype: str, shape: Sequence[int], content: bytes) -> bytes:
    request = inference_pb2.ModelInferRequest(model_name=model, raw_input_contents=[content])
    request.inputs.add(name=name, datatype=datatype, shape=shape)
    return request.SerializeToString()


def _infer_shared(
    model: str, name: str, shape: Sequence[int], output: str, output_bytes: int, regions: tuple[str, str]
) -> bytes:
    request = inference_pb2.ModelInferRequest(model_name=model)
    tensor = request.inputs.add(name=name, datatype="FP32", shape=shape)
    tensor.parameters["shared_memory_region"].string_param = regions[0]
    tensor.parameters["shared_memory_byte_size"].int64_param = int(np.prod(shape)) * 4
    wanted = request.outputs.add(name=output)
    wanted.parameters["shared_memory_region"].string_param = regions[1]
    wanted.parameters["shared_memory_byte_size"].int64_param = output_bytes
    return request.SerializeToString()
