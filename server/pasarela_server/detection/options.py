"""What a client may ask of a detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pasarela_server.errors import InvalidRequest

DETECTIONS_CEILING = 1000
"""More than this from one image is refused: suppression's work grows with the square of it."""


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """Thresholds and limits of one detection.

    Raises:
        InvalidRequest: A value is impossible.
    """

    confidence: float = 0.25
    """Detections must score above this; 0 to 1."""
    iou: float = 0.7
    """Of two boxes of one class that overlap by more than this, the better stays; 0 to 1."""
    max_detections: int = 300
    class_ids: tuple[int, ...] | None = None
    """Only these classes are returned; None asks for all."""

    def __post_init__(self) -> None:
        for name, value in (("confidence", self.confidence), ("iou", self.iou)):
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise InvalidRequest(f"{name} must lie between 0 and 1, got {value}")
        if not 1 <= self.max_detections <= DETECTIONS_CEILING:
            raise InvalidRequest(
                f"max_detections must lie between 1 and {DETECTIONS_CEILING}, got {self.max_detections}"
            )
        if self.class_ids is not None and any(class_id < 0 for class_id in self.class_ids):
            raise InvalidRequest(f"class ids begin at 0, got {min(self.class_ids)}")
