"""Is this model a YOLO detector? What its artefact says, read and checked once, at load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pasarela_server.detection.layout import BOX_VALUES, ROW_VALUES, Layout
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

_TASKS = {
    "segment": "it finds outlines",
    "pose": "it finds key points",
    "obb": "it finds turned boxes",
    "classify": "it classifies whole images",
    "semantic": "it labels pixels",
    "depth": "it measures depth",
}
"""What the other tasks of Ultralytics do."""


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

    @property
    def pixel_inputs(self) -> frozenset[str]:
        """Inputs that take plain pixels, too."""
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
    layout: Layout
    rows: int
    """The batch size that the network insists on; 1 if it varies."""
    takes_pixels: bool
    """Whether (n, h, w, 3) UINT8 may be sent instead of scaled and transposed values."""


def recognise(spec: DescribedModel) -> RecognisedYolo | None:
    """Reads a detector's facts out of Ultralytics' metadata; None if the model does not claim to be a detector.

    Raises:
        InvalidModel: It claims to be one, and its tensors or metadata do not fit; or it was made for another task.
    """
    task = spec.metadata.get("task")
    if task is None:
        return None
    if task != "detect":
        raise InvalidModel(
            f"its task is {task!r}: {_TASKS.get(str(task), 'it does not detect')}, and only models of the task "
            "'detect' give boxes"
        )
    names = _names(spec.metadata.get("names"))
    stride = _positive(spec.metadata.get("stride", 32), "stride")
    image = _input(spec.inputs)
    output, layout = _output(spec.outputs, len(names), suppressed=_is_suppressed(spec.metadata))
    size = _image_size(image, spec.metadata.get("imgsz"), stride)
    takes_pixels = image.name in spec.pixel_inputs
    return RecognisedYolo(image, output, names, size, stride, layout, max(image.shape[0], 1), takes_pixels)


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


def _is_suppressed(metadata: Mapping[str, object]) -> bool:
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


def _output(outputs: tuple[TensorSpec, ...], classes: int, *, suppressed: bool) -> tuple[TensorSpec, Layout]:
    if not outputs:
        raise InvalidModel("the detector has no output")
    output = outputs[0]
    layout = _layout(output.shape, classes, suppressed=suppressed)
    if layout is None or output.datatype not in (DataType.FP32, DataType.FP16):
        wanted = f"rows, {ROW_VALUES}" if suppressed else f"{BOX_VALUES + classes}, anchors"
        raise InvalidModel(
            f"a detector of {classes} classes has an output of shape (batch, {wanted}), FP32 or FP16; "
            f"{output.name!r} has {output.shape}, {output.datatype.value}"
        )
    return output, layout


def _layout(shape: tuple[int, ...], classes: int, *, suppressed: bool) -> Layout | None:
    """What an output of this shape is; None if it is none of a detector."""
    if len(shape) != 3:
        return None
    _, rows, columns = shape
    if suppressed:
        return Layout.ROWS if columns in (-1, ROW_VALUES) else None
    # The metadata of RT-DETR do not name it. No network has as few as six anchors.
    if columns == ROW_VALUES:
        return Layout.SCALED_ROWS
    if rows in (-1, BOX_VALUES + classes):
        return Layout.ANCHORS
    return Layout.SCALED_QUERIES if columns == BOX_VALUES + classes else None


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
