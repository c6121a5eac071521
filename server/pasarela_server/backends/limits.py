"""Sizes that a network cannot take although its artefact says that they vary."""

from __future__ import annotations

from collections.abc import Mapping

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.backends.metadata import is_ultralytics
from pasarela_server.errors import InvalidRequest
from pasarela_server.tensor import Array


def check_spatial(spec: ArtefactSpec, inputs: Mapping[str, Array]) -> None:
    """Refuses images whose height or width is not a positive multiple of the network's stride.

    Call it before an inference with sizes that a client chose: a YOLOv9 given a 1x1 image divides by zero inside ONNX
    Runtime, which ends the process. Models without Ultralytics' metadata, and fixed sizes, are not looked at.

    Args:
        spec: The model's.
        inputs: Arrays by input name; shapes already agree with the spec.

    Raises:
        InvalidRequest: A height or width does not fit; the message names the input, and says expected and actual.
    """
    stride = spec.metadata.get("stride")
    if not is_ultralytics(spec.metadata) or not isinstance(stride, int) or stride < 1:
        return
    for tensor in spec.inputs:
        array = inputs.get(tensor.name)
        if array is None or len(tensor.shape) != 4 or array.ndim != 4:
            continue
        for axis, side in ((2, "height"), (3, "width")):
            size = array.shape[axis]
            if tensor.shape[axis] == -1 and (size < stride or size % stride):
                raise InvalidRequest(
                    f"input {tensor.name!r}: {side} must be a positive multiple of {stride}, got {size}"
                )
