"""The configuration of a detection model: which raw model it runs, and with which defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pasarela_proto import model_config_pb2
from pasarela_server.config.complete import Completed
from pasarela_server.config.model import ModelConfig
from pasarela_server.config.plan import DETECTION, check_name, version_policy
from pasarela_server.config.tensors import complete_tensors
from pasarela_server.config.values import cuda_device
from pasarela_server.errors import InvalidModel
from pasarela_server.request import VERSION_LABEL, VersionName
from pasarela_server.tensor import DataType, TensorSpec

IMAGE_INPUT = TensorSpec("image", DataType.BYTES, (1,))
"""One encoded image."""
DETECTION_OUTPUTS = (
    TensorSpec("boxes", DataType.FP32, (-1, 4)),
    TensorSpec("scores", DataType.FP32, (-1,)),
    TensorSpec("class_ids", DataType.INT32, (-1,)),
    TensorSpec("class_names", DataType.BYTES, (-1,)),
)
_PARAMETERS = ("model", "model_version", "confidence", "iou", "max_detections", "jpeg_margin", "jpeg_device")
_FIELDS_OF_THE_RAW_MODEL = (
    "max_batch_size",
    "dynamic_batching",
    "instance_group",
    "default_model_filename",
    "platform",
)


N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class DetectionDefaults:
    """What holds for a request that says nothing else; None leaves it to the detector."""

    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None


@dataclass(frozen=True, slots=True)
class DetectionConfig:
    """What the parameters of a detection model say."""

    model: str
    """The raw model that it runs."""
    model_version: VersionName = None
    """None: the highest version that is ready, at each request."""
    defaults: DetectionDefaults = DetectionDefaults()
    jpeg_margin: float | None = None
    """How many times as large as the network sees it a JPEG is decoded at least; None: as leaves accuracy as it is."""
    jpeg_device: int | None = None
    """The CUDA device that decodes JPEGs; None: the processor does."""


def complete_detection(
    written: model_config_pb2.ModelConfig, folder: str, source: str
) -> tuple[Completed, DetectionConfig]:
    """Completes and checks the configuration of a detection model.

    Args:
        written: The configuration, whose backend is "detection".
        folder: The name of the model's folder.
        source: What messages call the configuration.

    Raises:
        InvalidModel: The raw model is not named, a parameter is unknown or has a wrong value, or a field is set that
            belongs to the raw model.
    """
    check_name(written, folder, source)
    refuse_raw_fields(written, "a detection model", source)
    detection = _detection(written, folder, source)
    config = ModelConfig(
        name=folder,
        backend=DETECTION,
        inputs=complete_tensors("input", written.input, (IMAGE_INPUT,), batched=False, source=source),
        outputs=complete_tensors("output", written.output, DETECTION_OUTPUTS, batched=False, source=source),
        instance_count=0,
        threads_per_instance=0,
        version_policy=version_policy(written, source),
        parameters={key: value.string_value for key, value in written.parameters.items()},
    )
    which = f" version {detection.model_version}" if detection.model_version else ""
    return Completed(config, (f"detects with {detection.model!r}{which}",)), detection


def refuse_raw_fields(written: model_config_pb2.ModelConfig, kind: str, source: str) -> None:
    """Refuses fields that say how a model file is run, in the configuration of a model that has none.

    Raises:
        InvalidModel: One is set.
    """
    for name in _FIELDS_OF_THE_RAW_MODEL:
        if any(descriptor.name == name for descriptor, _ in written.ListFields()):
            raise InvalidModel(
                f"{source}: field {name!r} has no meaning for {kind}; write it in the configuration of the "
                "raw model that it runs"
            )
    for tensor in written.output:
        if tensor.label_filename:
            raise InvalidModel(f"{source}: label_filename belongs in the configuration of the raw model; move it there")


def _detection(written: model_config_pb2.ModelConfig, folder: str, source: str) -> DetectionConfig:
    parameters = {key: value.string_value for key, value in written.parameters.items()}
    for key in parameters:
        if key not in _PARAMETERS:
            raise InvalidModel(
                f"{source}: parameter {key!r} is unknown to detection models; they have {', '.join(_PARAMETERS)}"
            )
    model = parameters.get("model", "")
    if not model or model == folder:
        raise InvalidModel(
            f"{source}: a detection model names the raw model that it runs: "
            'parameters { key: "model" value { string_value: "…" } }'
        )
    return DetectionConfig(
        model=model,
        model_version=read_version(parameters, source),
        defaults=DetectionDefaults(
            confidence=read_number(parameters, "confidence", float, 0.0, 1.0, source),
            iou=read_number(parameters, "iou", float, 0.0, 1.0, source),
            max_detections=read_number(parameters, "max_detections", int, 1, math.inf, source),
        ),
        jpeg_margin=read_number(parameters, "jpeg_margin", float, 1.0, math.inf, source),
        jpeg_device=_jpeg_device(parameters, source),
    )


def _jpeg_device(parameters: Mapping[str, str], source: str) -> int | None:
    text = parameters.get("jpeg_device", "cpu")
    try:
        return cuda_device(text)
    except ValueError as error:
        raise InvalidModel(f"{source}: parameter 'jpeg_device' is {text!r}; {error}") from error


def read_version(parameters: Mapping[str, str], source: str) -> VersionName:
    """The parameter `model_version`: a number, a label of the raw model, or None if it is not written.

    Raises:
        InvalidModel: It could be neither.
    """
    text = parameters.get("model_version")
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return int(text)
    if VERSION_LABEL.fullmatch(text) is not None:
        return text
    raise InvalidModel(
        f"{source}: parameter 'model_version' is {text!r}; expected a whole number of at least 1 or a label of it"
    )


def read_number(
    parameters: Mapping[str, str],
    key: str,
    kind: Callable[[str], N],
    least: float,
    most: float,
    source: str,
    otherwise: N | None = None,
) -> N | None:
    """Reads a parameter that is a number from `least` to `most`; `otherwise` if it is not written.

    Raises:
        InvalidModel: It is none.
    """
    text = parameters.get(key)
    if text is None:
        return otherwise
    expected = "a whole number" if kind is int else "a number"
    limits = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
    number: N | None
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise InvalidModel(f"{source}: parameter {key!r} is {text!r}; expected {expected} {limits}")
    return number
