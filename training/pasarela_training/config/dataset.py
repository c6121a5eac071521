"""The sections about data: where it lies, how it is drawn, sampled and converted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pasarela_training.config.section import Section
from pasarela_training.synthesize.settings import SynthesizeSettings

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class SynthesizeSection(Section):
    """How the synthetic dataset is drawn; left out when the dataset exists already."""

    images: int = Field(ge=1, le=999_999)
    """How many images to draw."""
    seed: int = Field(default=0, ge=0)
    """The same seed draws the same images."""
    width: int = Field(default=384, ge=96, le=4096)
    """Of an upright image, in pixels."""
    height: int = Field(default=480, ge=96, le=4096)
    """Of an upright image, in pixels."""
    difficulty: Literal["easy", "hard"] = "easy"
    """`hard` adds clutter, blur and occlusion."""
    class_prior: Literal["balanced", "deepfashion2"] = "balanced"
    """`deepfashion2` draws the classes as unevenly as DeepFashion2 has them."""
    landscape_share: Share = 0.12
    """Share of images that lie on their side."""
    size_jitter: float = Field(default=0.08, ge=0, le=0.5)
    """How much sizes vary, as a share of width and height."""
    jpeg_quality: tuple[int, int] = (82, 95)
    """Lowest and highest quality of the JPEG files."""

    def settings(self) -> SynthesizeSettings:
        """What the synthesizer is told."""
        return SynthesizeSettings(**self.model_dump())

    @model_validator(mode="after")
    def _can_be_drawn(self) -> SynthesizeSection:
        self.settings()
        return self


class DatasetSection(Section):
    """Where the images are. The layout is recognised; `layout` says it where that fails."""

    source: Path
    """Folder with images and annotations: DeepFashion2, DeepFashion (2016), COCO JSON, or YOLO labels."""
    layout: Literal["auto", "deepfashion2", "deepfashion", "coco", "yolo"] = "auto"
    """What the folder holds; `auto` looks."""
    synthesize: SynthesizeSection | None = None
    """Draws the dataset into `source` first."""
    max_broken: Share = 0.05
    """The run stops when more than this share of the images it reads loses something to a fault in its annotation."""
    processes: int | None = Field(default=None, ge=1)
    """Processes that read and convert; as many as there are cores if left out."""


class SampleSection(Section):
    """Which images are used, and how they are split."""

    images: int | Literal["all"] = "all"
    """How many images to use."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same sample of the same dataset, on any machine."""
    ratios: tuple[Positive, Positive, Positive] = (7, 2, 1)
    """Shares of train, val and test."""
    splits: tuple[Literal["train", "validation", "test"], ...] = Field(default=("train",), min_length=1)
    """Splits of the dataset to sample from (DeepFashion2's test split has no annotations)."""
    group: Literal["image", "pair", "garment"] = "image"
    """`pair` keeps all pictures of one `pair_id` on one side of the split; `garment` those that share a `pair_id` and a
    `style` above 0."""
    stratify: Literal["none", "proportional", "balanced"] = "none"
    """`proportional` gives every split, and a sample smaller than the dataset, each class in its share; `balanced` also
    takes the rare classes first when it chooses a sample smaller than the dataset."""
    store: Literal["list", "link", "copy"] = "list"
    """`link` (hard links) or `copy` puts the sampled images into the workspace; `list` leaves them where they are."""

    @field_validator("images")
    @classmethod
    def _enough(cls, images: int | str) -> int | str:
        if isinstance(images, int) and images < 3:
            raise ValueError("must be at least 3 (one image for each of train, val and test) or 'all'")
        return images


class ConvertSection(Section):
    """What the conversion to YOLO writes beside the labels of boxes."""

    segmentation: bool = False
    """Also write polygon labels, in `yolo/segment/`, for training a segmentation network."""
