"""The section about publishing: where the variants go, and what they must reach."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pasarela_training.config.export import Variant
from pasarela_training.config.section import Section


class PublishSection(Section):
    """Where the variants go, and what they must reach."""

    repository: Path = Path("model_repository")
    """The model repository of the server."""
    name: str = Field(default="garments", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """The detection model's name; raw models are called `<name>_<variant>`."""
    serve: Variant = "openvino"
    """The variant that the detection model runs."""
    openvino_precision: Literal["default", "f32", "bf16", "f16"] = "default"
    """In what the OpenVINO variant computes; its default is bf16 on CPUs that have it."""
    max_batch_size: int = Field(default=8, ge=1)
    """Rows of the largest batch that a raw model takes."""
    minimum_map50: float = Field(default=0.9, ge=0, le=1)
    """A variant below it on the test split is refused."""
    max_map_difference: float = Field(default=0.005, ge=0, le=1)
    """A variant is refused when its mAP50-95 on any split differs by more than this from PyTorch's (or, without it, the
    best one's); for INT8, which may only be lower by `export.int8.max_drop`, that stands in its place."""
    max_regression: float = Field(default=0.005, ge=0, le=1)
    """A variant is refused when its mAP50-95 on test is lower by more than this than that of the version it would
    follow, if that was measured on the same images."""
