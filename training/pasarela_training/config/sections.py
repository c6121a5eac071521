"""The sections of the configuration, except `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pasarela_training.config.section import Section
from pasarela_training.config.train import TrainSection
from pasarela_training.synthesize.settings import SynthesizeSettings

Variant = Literal["pytorch", "onnx", "openvino"]
Positive = Annotated[float, Field(gt=0)]


class SynthesizeSection(Section):
    """How the synthetic dataset is drawn; left out when the dataset exists already."""

    images: int = Field(ge=1, le=999_999)
    seed: int = Field(default=0, ge=0)
    width: int = Field(default=384, ge=96, le=4096)
    height: int = Field(default=480, ge=96, le=4096)
    difficulty: Literal["easy", "hard"] = "easy"
    class_prior: Literal["balanced", "deepfashion2"] = "balanced"
    landscape_share: float = Field(default=0.12, ge=0, le=1)
    size_jitter: float = Field(default=0.08, ge=0, le=0.5)
    jpeg_quality: tuple[int, int] = (82, 95)

    def settings(self) -> SynthesizeSettings:
        """What the synthesizer is told."""
        return SynthesizeSettings(**self.model_dump())

    @model_validator(mode="after")
    def _can_be_drawn(self) -> SynthesizeSection:
        self.settings()
        return self


class DatasetSection(Section):
    """Where the images are, in DeepFashion2's layout."""

    source: Path
    """Folder with `train/image` and `train/annos` (and perhaps `validation/`)."""
    synthesize: SynthesizeSection | None = None
    """Draws the dataset into `source` first."""


class SampleSection(Section):
    """Which images are used, and how they are split."""

    images: int | Literal["all"] = "all"
    seed: int = Field(default=0, ge=0)
    ratios: tuple[Positive, Positive, Positive] = (7, 2, 1)
    """Shares of train, val and test."""
    splits: tuple[Literal["train", "validation"], ...] = Field(default=("train",), min_length=1)
    """Folders of the dataset to sample from (the test folder has no annotations)."""
    group: Literal["image", "pair"] = "image"
    """`pair` keeps all pictures of one garment (one `pair_id`) on the same side of the split."""

    @field_validator("images")
    @classmethod
    def _enough(cls, images: int | str) -> int | str:
        if isinstance(images, int) and images < 3:
            raise ValueError("must be at least 3 (one image for each of train, val and test) or 'all'")
        return images


class EvaluateSection(Section):
    """How mAP is measured."""

    confidence: float = Field(default=0.001, ge=0, lt=1)
    iou: float = Field(default=0.7, gt=0, le=1)
    max_detections: int = Field(default=100, ge=1, le=1000)
    splits: tuple[Literal["val", "test"], ...] = Field(default=("val", "test"), min_length=1)
    threads: int | None = Field(default=None, ge=1)
    """Cores that one variant may use; all of them if left out."""


class ExportSection(Section):
    """Which variants are made of the trained model."""

    variants: tuple[Variant, ...] = Field(default=("pytorch", "onnx", "openvino"), min_length=1)

    @field_validator("variants")
    @classmethod
    def _each_once(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        if len(set(variants)) != len(variants):
            raise ValueError("names a variant twice")
        return variants


class PublishSection(Section):
    """Where the variants go, and what they must reach."""

    repository: Path = Path("model_repository")
    name: str = Field(default="garments", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """The detection model's name; raw models are called `<name>_<variant>`."""
    serve: Variant = "openvino"
    """The variant that the detection model runs."""
    openvino_precision: Literal["default", "f32", "bf16", "f16"] = "default"
    """In what the OpenVINO variant computes; its default is bf16 on CPUs that have it."""
    max_batch_size: int = Field(default=8, ge=1)
    minimum_map50: float = Field(default=0.9, ge=0, le=1)
    """Publication is refused when a variant is below it on the test split."""
    max_map_difference: float = Field(default=0.005, ge=0, le=1)
    """Publication is refused when variants differ by more in mAP50-95 on any split."""


class Config(Section):
    """The whole file. Relative paths are relative to the working directory."""

    workspace: Path
    """Folder for everything that a run makes on its way to the repository."""
    dataset: DatasetSection
    sample: SampleSection = SampleSection()
    train: TrainSection = TrainSection()
    evaluate: EvaluateSection = EvaluateSection()
    export: ExportSection = ExportSection()
    publish: PublishSection = PublishSection()

    @model_validator(mode="after")
    def _served_variant_is_exported(self) -> Config:
        if self.publish.serve not in self.export.variants:
            raise ValueError(
                f"publish.serve is '{self.publish.serve}', which export.variants does not make; "
                f"choose one of {', '.join(self.export.variants)}"
            )
        return self
