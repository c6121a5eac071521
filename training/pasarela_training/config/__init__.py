"""The one YAML file that describes a run: its sections, and reading it with errors that name the line."""

from pasarela_training.config.load import load_config
from pasarela_training.config.sections import (
    Config,
    DatasetSection,
    EvaluateSection,
    ExportSection,
    PublishSection,
    SampleSection,
    SynthesizeSection,
    Variant,
)
from pasarela_training.config.train import Hyperparameters, Phase, TrainSection

__all__ = [
    "Config",
    "DatasetSection",
    "EvaluateSection",
    "ExportSection",
    "Hyperparameters",
    "Phase",
    "PublishSection",
    "SampleSection",
    "SynthesizeSection",
    "TrainSection",
    "Variant",
    "load_config",
]
