"""The configuration of a model that suppresses another's answers: tensors in as there, a few finished rows out."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from pasarela_proto import model_config_pb2
from pasarela_server.config.complete import Completed
from pasarela_server.config.detection import (
    DetectionConfig,
    DetectionDefaults,
    read_number,
    read_version,
    refuse_raw_fields,
)
from pasarela_server.config.model import ModelConfig
from pasarela_server.config.plan import SUPPRESSION, check_name, version_policy
from pasarela_server.config.tensors import complete_tensors
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

OUTPUT = "output0"
_ROW_VALUES = 6
_KIND = "a model of the backend 'nms'"
_PARAMETERS = ("model", "model_version", "confidence", "iou", "max_detections", "every_label")
_DEFAULTS = DetectionDefaults(confidence=0.001, iou=0.7, max_detections=300)
"""Those of validation: who calls it filters by confidence for himself."""


@dataclass(frozen=True, slots=True)
class SuppressionConfig:
    """What the parameters of such a model say."""

    raw: DetectionConfig
    """The raw model that it runs, and the thresholds."""
    every_label: bool
    """Whether an anchor counts once for each class, and not for its best only."""


def read_suppression(written: model_config_pb2.ModelConfig, folder: str, source: str) -> SuppressionConfig:
    """Reads the parameters.

    Args:
        written: The configuration, whose backend is "nms".
        folder: The name of the model's folder.
        source: What messages call the configuration.

    Raises:
        InvalidModel: The raw model is not named, a parameter is unknown or has a wrong value, or a field is set that
            belongs to the raw model.
    """
    check_name(written, folder, source)
    refuse_raw_fields(written, _KIND, source)
    parameters = {key: value.string_value for key, value in written.parameters.items()}
    for key in parameters:
        if key not in _PARAMETERS:
            raise InvalidModel(f"{source}: parameter {key!r} is unknown to {_KIND}; it has {', '.join(_PARAMETERS)}")
    model = parameters.get("model", "")
    if not model or model == folder:
        raise InvalidModel(
            f"{source}: {_KIND} names the raw model whose answers it suppresses: "
            'parameters { key: "model" value { string_value: "…" } }'
        )
    defaults = DetectionDefaults(
        confidence=read_number(parameters, "confidence", float, 0.0, 1.0, source, _DEFAULTS.confidence),
        iou=read_number(parameters, "iou", float, 0.0, 1.0, source, _DEFAULTS.iou),
        max_detections=read_number(parameters, "max_detections", int, 1, 1000, source, _DEFAULTS.max_detections),
    )
    version = read_version(parameters, source)
    return SuppressionConfig(DetectionConfig(model, version, defaults), _switch(parameters, "every_label", source))


def complete_suppression(
    written: model_config_pb2.ModelConfig, folder: str, suppression: SuppressionConfig, raw: ModelConfig, source: str
) -> Completed:
    """The complete configuration: inputs, batching and metadata are the raw model's.

    Args:
        written: The configuration.
        folder: The name of the model's folder.
        suppression: What it says.
        raw: The raw model's, complete.
        source: What messages call the configuration.

    Raises:
        InvalidModel: Tensors are written that do not fit.
    """
    defaults = suppression.raw.defaults
    output = TensorSpec(OUTPUT, DataType.FP32, (raw.inputs[0].shape[0], defaults.max_detections or 0, _ROW_VALUES))
    batched = raw.max_batch_size > 0
    parameters = {key: value.string_value for key, value in written.parameters.items()}
    config = ModelConfig(
        name=folder,
        backend=SUPPRESSION,
        max_batch_size=raw.max_batch_size,
        inputs=complete_tensors("input", written.input, raw.inputs, batched=batched, source=source),
        outputs=complete_tensors("output", written.output, (output,), batched=batched, source=source),
        instance_count=0,
        threads_per_instance=0,
        version_policy=version_policy(written, source),
        parameters=_with_metadata(parameters, raw.parameters.get("metadata", "")),
    )
    labels = "every class that it scores for" if suppression.every_label else "its best class"
    return Completed(
        config,
        (
            f"suppresses the answers of {raw.name!r}",
            f"confidence {defaults.confidence:g}, IoU {defaults.iou:g}, {defaults.max_detections} rows",
            f"an anchor counts for {labels}",
        ),
    )


def _with_metadata(parameters: Mapping[str, str], metadata: str) -> dict[str, str]:
    """Adds the raw model's metadata, changed to say that the rows are finished, which Ultralytics' client reads."""
    try:
        known = ast.literal_eval(metadata)
    except (ValueError, SyntaxError):
        known = None
    if not isinstance(known, dict):
        return dict(parameters)
    written = known.get("args")
    known["args"] = {**(written if isinstance(written, dict) else {}), "nms": False}
    known["end2end"] = True
    return {"metadata": repr(known), **parameters}


def _switch(parameters: Mapping[str, str], key: str, source: str) -> bool:
    text = parameters.get(key, "false")
    if text not in ("true", "false"):
        raise InvalidModel(f"{source}: parameter {key!r} is {text!r}; expected true or false")
    return text == "true"
