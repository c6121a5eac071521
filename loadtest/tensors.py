"""Requests with tensors of the shape and type that a model says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from loadtest.scenario import RawRequests
from pasarela_proto import inference_pb2 as pb

_TYPES: Final = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


class UnknownShape(Exception):
    """There is no saying which tensors a model takes; the message says what to write into the scenario."""


def raw_request(entry: RawRequests, described: pb.ModelMetadataResponse) -> pb.ModelInferRequest:
    """A request with tensors of zeros.

    Raises:
        UnknownShape: The model leaves a size open that the scenario does not name, or wants no numbers.
    """
    request = pb.ModelInferRequest(model_name=entry.model)
    request.parameters["timings"].bool_param = True
    for tensor in described.inputs:
        shape = tensor_shape(entry, tensor.name, tensor.shape)
        kind = _TYPES.get(tensor.datatype)
        if kind is None:
            raise UnknownShape(f"{entry.model} takes {tensor.datatype} as {tensor.name}: use user: detect for images")
        request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        request.raw_input_contents.append(np.zeros(shape, kind).tobytes())
    return request


def tensor_shape(entry: RawRequests, name: str, described: Sequence[int]) -> list[int]:
    """The shape to send: the model's, with the rows and the sizes of the scenario where the model leaves them open.

    Raises:
        UnknownShape: A size stays open.
    """
    sizes: Mapping[str, Sequence[int]] = entry.sizes
    if name in sizes:
        rest = list(sizes[name])
        return [entry.rows, *rest] if len(rest) == len(described) - 1 else rest
    shape = [entry.rows if position == 0 and size < 0 else size for position, size in enumerate(described)]
    if any(size < 0 for size in shape):
        example = ", ".join("3" if size < 0 else str(size) for size in shape[1:])
        raise UnknownShape(
            f"{entry.model} leaves the size of its input {name} open ({', '.join(map(str, described))}): "
            f"say it in the scenario, as in sizes: {{{name}: [{example}]}}"
        )
    return shape
