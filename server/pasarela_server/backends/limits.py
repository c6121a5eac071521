"""Sizes that a network cannot take although its artefact says that they vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.errors import InvalidRequest
from pasarela_server.tensor import Array


def check_spatial(spec: ArtefactSpec, inputs: Mapping[str, Array]) -> None:
    """Refuses images whose height or width is not a positive multiple of the network's stride.

    Call it before an inference with sizes that somebody chose: a YOLOv9 given a 1x1 image divides by zero inside ONNX
    Runtime, which ends the process. Fixed sizes are not looked at, nor are models whose artefact names no stride.

    Args:
        spec: The model's.
        inputs: Arrays by input name; shapes already agree with the spec.

    Raises:
        InvalidRequest: A height or width does not fit; the message names the input, and says expected and actual.
    """
    stride = _stride(spec.metadata)
    if stride is None:
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


def _stride(metadata: Mapping[str, object]) -> int | None:
    """The largest stride that a detector's exporter wrote, as a number or as those of its heads; None if it did not."""
    if "imgsz" not in metadata and "task" not in metadata:
        return None  # whatever is called stride there is none of an image
    written = metadata.get("stride")
    strides = written if isinstance(written, Sequence) and not isinstance(written, str) else [written]
    whole = [int(one) for one in strides if isinstance(one, int | float) and one >= 1 and float(one).is_integer()]
    return max(whole) if whole and len(whole) == len(strides) else None
