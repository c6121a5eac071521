"""What exporters write into artefacts, in one form whatever the framework."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence

from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

_FREE_TEXT = frozenset({"author", "date", "description", "docs", "head", "license", "task", "version"})


def parse_properties(properties: Mapping[str, str]) -> dict[str, object]:
    """Reads string properties (ONNX) whose values are Python literals; what is none stays a string."""
    return normalise({key: _literal(key, value) for key, value in properties.items()})


def parse_config_file(text: str | bytes, name: str) -> dict[str, object]:
    """Reads the JSON that Ultralytics puts into PyTorch's archives; nothing for an empty text.

    Raises:
        InvalidModel: It is no JSON object.
    """
    if not text:
        return {}
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidModel(f"its {name} is no JSON") from error
    if not isinstance(content, dict):
        raise InvalidModel(f"its {name} holds no keys and values")
    return normalise(content)


def normalise(metadata: Mapping[str, object]) -> dict[str, object]:
    """Brings `names` to {class id: name}; JSON turns its keys into strings, some exporters write a list."""
    result = dict(metadata)
    names = result.get("names")
    if isinstance(names, Mapping) and all(str(key).isdecimal() for key in names):
        result["names"] = {int(str(key)): str(name) for key, name in names.items()}
    elif isinstance(names, Sequence) and not isinstance(names, str):
        result["names"] = {class_id: str(name) for class_id, name in enumerate(names)}
    return result


def is_ultralytics(metadata: Mapping[str, object]) -> bool:
    """True if Ultralytics' exporter wrote the metadata."""
    return {"task", "names", "stride", "imgsz"} <= metadata.keys()


def pixel_inputs(metadata: Mapping[str, object], inputs: Sequence[TensorSpec]) -> frozenset[str]:
    """The input of a detector that takes an image of three colours as floats from 0 to 1; empty for other models."""
    if not is_ultralytics(metadata) or metadata["task"] != "detect" or len(inputs) != 1:
        return frozenset()
    (image,) = inputs
    takes_images = len(image.shape) == 4 and image.shape[1] == 3 and image.datatype in (DataType.FP32, DataType.FP16)
    return frozenset({image.name}) if takes_images else frozenset()


def image_shape(metadata: Mapping[str, object]) -> tuple[int, int, int] | None:
    """(channels, height, width) that the model was exported for; None if the metadata does not say."""
    imgsz = metadata.get("imgsz")
    if isinstance(imgsz, int):
        imgsz = [imgsz]
    if not (isinstance(imgsz, Sequence) and imgsz and all(isinstance(side, int) and side > 0 for side in imgsz)):
        return None
    channels = metadata.get("channels", 3)
    return (channels if isinstance(channels, int) else 3), imgsz[0], imgsz[-1]


def exported_precision(metadata: Mapping[str, object], inputs: Sequence[TensorSpec]) -> str:
    """The precision of the file, for frameworks that compute in it: what the exporter said, or the inputs' type."""
    args = metadata.get("args")
    quantize = args.get("quantize") if isinstance(args, Mapping) else None
    if quantize in (8, 16):
        return "INT8" if quantize == 8 else "FP16"
    return "/".join(sorted({spec.datatype.value for spec in inputs}))


def tensor_names(
    own: Sequence[str], given: Sequence[str], metadata: Mapping[str, object], *, ultralytics: str, positional: str
) -> tuple[str, ...]:
    """Names for tensors of artefacts that carry none, or none that a person gave.

    Args:
        own: Names in the artefact, empty where there is none.
        given: Names written in config.pbtxt.
        metadata: The artefact's; Ultralytics' exporter leaves names of the tracer (`x.1`) behind.
        ultralytics: The only, or first, name that Ultralytics' ONNX exporter would give: `images` or `output0`.
        positional: What the others are called, with `{}` for their position.
    """
    if all(own) and not is_ultralytics(metadata):
        return tuple(own)
    if len(given) == len(own):
        return tuple(given)
    if is_ultralytics(metadata):
        stem = ultralytics.rstrip("0")
        return (ultralytics, *(f"{stem}{position}" for position in range(1, len(own))))
    return tuple(name or positional.format(position) for position, name in enumerate(own))


def _literal(key: str, value: str) -> object:
    if key in _FREE_TEXT:
        return value
    try:
        literal: object = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value
    return literal
