"""The one YAML file that describes a run: its sections, and reading it with errors that name the line."""

from pasarela_training.config.dataset import ConvertSection, DatasetSection, SampleSection, SynthesizeSection
from pasarela_training.config.evaluate import CompareSection, EvaluateSection, VerifySection
from pasarela_training.config.export import ExportSection, Int8Section, Variant
from pasarela_training.config.load import load_config
from pasarela_training.config.publish import PublishSection
from pasarela_training.config.sections import Config
from pasarela_training.config.train import Hyperparameters, Phase, TrainSection

__all__ = [
    "CompareSection",
    "Config",
    "ConvertSection",
    "DatasetSection",
    "EvaluateSection",
    "ExportSection",
    "Hyperparameters",
    "Int8Section",
    "Phase",
    "PublishSection",
    "SampleSection",
    "SynthesizeSection",
    "TrainSection",
    "Variant",
    "VerifySection",
    "load_config",
]
