"""How to detect: thresholds and classes of one request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pasarela_client.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What one request asks for; None and empty leave it to the model."""

    confidence: float | None = None
    """Detections with a lower score are left out; 0 to 1."""
    iou: float | None = None
    """Of two boxes of one class that overlap more than this, the one with the lower score is left out; 0 to 1."""
    class_names: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    max_detections: int | None = None
    """At most so many, best first."""
    priority: int = 0
    """Level of the model's priority queues: 1 is the most urgent, 0 stands for the model's default."""

    @classmethod
    def of(
        cls,
        *,
        confidence: float | None = None,
        iou: float | None = None,
        classes: Sequence[str | int] | None = None,
        max_detections: int | None = None,
        priority: int | None = None,
    ) -> Self:
        """Checks what a person wrote.

        Args:
            confidence: Lowest score, 0 to 1.
            iou: Highest overlap of two boxes of one class, 0 to 1.
            classes: Names and ids, mixed as wanted. None and an empty sequence mean all classes.
            max_detections: Highest number of detections, at least 1.
            priority: Level of the model's priority queues, from 1, the most urgent.

        Raises:
            InvalidRequest: A value is out of its range or of the wrong type.
        """
        _check_fraction("confidence", confidence)
        _check_fraction("iou", iou)
        if max_detections is not None and not 1 <= max_detections < 2**32:
            raise InvalidRequest(f"max_detections is at least 1, not {max_detections}")
        if priority is not None and not 0 <= priority < 2**32:
            raise InvalidRequest(
                f"priority is a level from 1 (most urgent), or 0 for the model's default, not {priority}"
            )
        wanted = [classes] if isinstance(classes, str) else list(classes or ())
        for entry in wanted:
            if not isinstance(entry, str | int) or (isinstance(entry, int) and not 0 <= entry < 2**31):
                raise InvalidRequest(f"a class is a name or an id from 0, not {entry!r}")
        return cls(
            confidence=confidence,
            iou=iou,
            class_names=tuple(entry for entry in wanted if isinstance(entry, str)),
            class_ids=tuple(entry for entry in wanted if isinstance(entry, int)),
            max_detections=max_detections,
            priority=priority or 0,
        )


def _check_fraction(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise InvalidRequest(f"{name} is from 0 to 1, not {value}")
