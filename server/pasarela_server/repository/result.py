"""What detection on one image takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pasarela_server.detection.detections import Detections
from pasarela_server.request import Found, Timings

ImageSource = bytes | memoryview | npt.NDArray[np.uint8]
"""An encoded image, or RGB pixels (h, w, 3)."""


@dataclass(frozen=True, slots=True)
class DetectOverrides:
    """What one request says about thresholds and limits; None leaves it to the model's defaults."""

    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    class_names: tuple[str, ...] = ()
    """Only these classes, together with those of `class_ids`; both empty means all."""
    class_ids: tuple[int, ...] = ()
    priority: int = 0
    """In the raw model's queue: 1 is the most urgent, 0 says nothing."""


@dataclass(frozen=True, slots=True)
class DetectResult:
    """The detections of one image, and how they came about."""

    model_name: str
    model_version: int
    detections: Detections
    names: tuple[str, ...]
    """Class names by class id: all that the model knows."""
    image_height: int
    """Pixels of the source image, after its EXIF orientation was applied."""
    image_width: int
    timings: Timings

    @property
    def found(self) -> Found:
        """What of it is counted."""
        return Found(self.names, self.detections.class_ids, self.detections.scores)
