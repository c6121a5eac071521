"""config.pbtxt of raw models and of the detection model over them, written by protobuf itself."""

from __future__ import annotations

from google.protobuf import text_format

from pasarela_proto import model_config_pb2
from pasarela_training.export.formats import anchors_of
from pasarela_training.export.metadata import ModelFacts
from pasarela_training.variants import INPUT_NAME, OUTPUT_NAME, VariantSpec

LABELS = "labels.txt"
_BOX_ROWS = 4


def raw_config(
    name: str, variant: VariantSpec, facts: ModelFacts, max_batch_size: int, *, dynamic_size: bool = False
) -> str:
    """The configuration of a raw model.

    Args:
        name: The model's name.
        variant: What it is.
        facts: Its size and classes.
        max_batch_size: Rows of the largest batch.
        dynamic_size: Height and width may vary, and with them the number of anchors.
    """
    side = -1 if dynamic_size else facts.imgsz
    anchors = -1 if dynamic_size else anchors_of(facts.imgsz, facts.stride)
    config = model_config_pb2.ModelConfig(name=name, backend=variant.backend, max_batch_size=max_batch_size)
    config.input.add(name=INPUT_NAME, data_type=model_config_pb2.TYPE_FP32, dims=[3, side, side])
    config.output.add(
        name=OUTPUT_NAME,
        data_type=model_config_pb2.TYPE_FP32,
        dims=[_BOX_ROWS + len(facts.names), anchors],
    )
    for key, value in variant.parameters.items():
        config.parameters[key].string_value = value
    return text_format.MessageToString(config)


def detection_config(name: str, raw_model: str) -> str:
    """The configuration of the detection model that runs a raw model."""
    config = model_config_pb2.ModelConfig(name=name, backend="detection", max_batch_size=0)
    config.parameters["model"].string_value = raw_model
    return text_format.MessageToString(config)
