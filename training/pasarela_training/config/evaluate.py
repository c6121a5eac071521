"""The sections about measuring: accuracy in process and through a server, and speed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pasarela_training.config.section import Section


class EvaluateSection(Section):
    """How mAP is measured."""

    confidence: float = Field(default=0.001, ge=0, lt=1)
    """Detections with a lower score are left out."""
    iou: float = Field(default=0.7, gt=0, le=1)
    """Of two boxes of one class that overlap more than this, the one with the lower score is left out."""
    max_detections: int = Field(default=100, ge=1, le=1000)
    """At most so many detections of an image count (COCO's figure takes 100)."""
    splits: tuple[Literal["val", "test"], ...] = Field(default=("val", "test"), min_length=1)
    """Where to measure."""
    threads: int | None = Field(default=None, ge=1)
    """Cores that one variant may use; all of them if left out."""
    shown_confidence: float = Field(default=0.25, gt=0, lt=1)
    """Score from which detections count in confusion matrices and pictures."""


class VerifySection(Section):
    """Measuring once more through a running server, before anything is published."""

    enabled: bool = True
    """Whether `run` and `publish` do so."""
    split: Literal["val", "test"] = "test"
    """Where to measure."""
    max_map_difference: float = Field(default=0.005, ge=0, le=1)
    """A variant is refused when the server's mAP50-95 differs by more from what was measured in process."""
    window: int = Field(default=8, ge=1, le=256)
    """Images under way at a time."""


class CompareSection(Section):
    """How the speed of the variants is compared, in this process, on the test images."""

    images: int = Field(default=64, ge=1)
    """How many images of the test split take part."""
    rounds: int = Field(default=15, ge=1)
    """How often each figure is taken; the variants take turns."""
    seconds: float = Field(default=1.0, gt=0)
    """How long one measurement of throughput takes."""
    requests: int = Field(default=25, ge=1)
    """Requests, one after the other, of which a round takes the latency."""
