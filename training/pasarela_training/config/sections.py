"""The whole configuration file."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from pasarela_training.config.dataset import ConvertSection, DatasetSection, SampleSection
from pasarela_training.config.evaluate import CompareSection, EvaluateSection, VerifySection
from pasarela_training.config.export import ExportSection
from pasarela_training.config.publish import PublishSection
from pasarela_training.config.section import Section
from pasarela_training.config.train import TrainSection


class Config(Section):
    """The whole file. Relative paths are relative to the working directory."""

    workspace: Path
    """Folder for everything that a run makes on its way to the repository."""
    dataset: DatasetSection
    sample: SampleSection = SampleSection()
    convert: ConvertSection = ConvertSection()
    train: TrainSection = TrainSection()
    export: ExportSection = ExportSection()
    evaluate: EvaluateSection = EvaluateSection()
    verify: VerifySection = VerifySection()
    publish: PublishSection = PublishSection()
    compare: CompareSection = CompareSection()

    @model_validator(mode="after")
    def _served_variant_is_exported(self) -> Config:
        if self.publish.serve not in self.export.variants:
            raise ValueError(
                f"publish.serve is '{self.publish.serve}', which export.variants does not make; "
                f"choose one of {', '.join(self.export.variants)}"
            )
        return self

    @model_validator(mode="after")
    def _verified_split_is_measured(self) -> Config:
        if self.verify.enabled and self.verify.split not in self.evaluate.splits:
            raise ValueError(
                f"verify.split is '{self.verify.split}', which evaluate.splits does not measure; "
                f"choose one of {', '.join(self.evaluate.splits)}"
            )
        return self
