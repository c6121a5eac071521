"""Is this model a YOLO detector? What its artefact says, read and checked once, at load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

_END2END_COLUMNS = 6


class DescribedModel(Protocol):
    """What recognition reads of a loaded artefact; `backends.base.ArtefactSpec` is one."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Its inputs."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Its outputs."""
        ...

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the exporter wrote into it."""
        ...


@dataclass(frozen=True, slots=True)
class RecognisedYolo:
    """A model that is a YOLO detector, and the facts needed to serve it."""

    input: TensorSpec
    output: TensorSpec
    names: tuple[str, ...]
    image_size: tuple[int, int]
    """(height, width)."""
    stride: int
    end2end: bool


def recognise(spec: DescribedModel) -> RecognisedYolo | None:
    """Reads a detector's facts out of Ultralytics' metadata; None if the model does not claim to be a detector.

    Raises:
        InvalidModel: It claims to be one, and its tensors or metadata do not fit.
    """
    if spec.metadata.get("task") != "detect":
        return None
    names = _names(spec.metadata.get("names"))
    stride = _positive(spec.metadata.get("stride", 32), "stride")
    image = _input(spec.inputs)
    end2end = _is_end2end(spec.metadata)
    output = _output(spec.outputs, len(names), end2end=end2end)
    size = _image_size(image, spec.metadata.get("imgsz"), stride)
    return RecognisedYolo(image, output, names, size, stride, end2end)


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, Mapping) and value and sorted(value) == list(range(len(value))):
        return tuple(str(value[class_id]) for class_id in range(len(value)))
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return tuple(str(name) for name in value)
    raise InvalidModel("the detector's metadata has no usable class names: expected one for each of 0, 1, 2, …")


def _positive(value: object, what: str) -> int:
    if isinstance(value, int | float) and value >= 1 and value == int(value):
        return int(value)
    raise InvalidModel(f"the detector's metadata says {what} {value!r}; expected a whole number above 0")


def _is_end2end(metadata: Mapping[str, object]) -> bool:
    args = metadata.get("args")
    nms = args.get("nms") if isinstance(args, Mapping) else None
    return bool(metadata.get("end2end")) or bool(nms)


def _input(inputs: tuple[TensorSpec, ...]) -> TensorSpec:
    if len(inputs) != 1:
        raise InvalidModel(f"a detector has one input, this model has {len(inputs)}")
    image = inputs[0]
    if image.datatype not in (DataType.FP32, DataType.FP16):
        raise InvalidModel(f"a detector's input is FP32 or FP16, {image.name!r} is {image.datatype.value}")
    if len(image.shape) != 4 or image.shape[1] not in (-1, 3):
        raise InvalidModel(
            f"a detector's input has the shape (batch, 3, height, width), {image.name!r} has {image.shape}"
        )
    return image


def _output(outputs: tuple[TensorSpec, ...], classes: int, *, end2end: bool) -> TensorSpec:
    if not outputs:
        raise InvalidModel("the detector has no output")
    output = outputs[0]
    wanted = ("rows", _END2END_COLUMNS) if end2end else (4 + classes, "anchors")
    fits = len(output.shape) == 3 and all(
        isinstance(want, str) or size in (-1, want) for size, want in zip(output.shape[1:], wanted, strict=True)
    )
    if not fits or output.datatype not in (DataType.FP32, DataType.FP16):
        raise InvalidModel(
            f"a detector of {classes} classes has an output of shape (batch, {wanted[0]}, {wanted[1]}), FP32 or FP16; "
            f"{output.name!r} has {output.shape}, {output.datatype.value}"
        )
    return output


def _image_size(image: TensorSpec, imgsz: object, stride: int) -> tuple[int, int]:
    said = imgsz if isinstance(imgsz, Sequence) and not isinstance(imgsz, str) else (imgsz, imgsz)
    if len(said) == 1:
        said = (said[0], said[0])
    size = []
    for fixed, written, what in zip(image.shape[2:], said, ("height", "width"), strict=True):
        if fixed == -1 and written is None:
            raise InvalidModel(f"the detector's metadata has no imgsz, and its input's {what} is not fixed")
        pixels = _positive(written if fixed == -1 else fixed, f"imgsz {what}")
        if pixels % stride:
            raise InvalidModel(f"the detector's input {what} {pixels} is not a multiple of its stride {stride}")
        size.append(pixels)
    return size[0], size[1]
