"""How wrong the detections of an image are, and which images are the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MATCHING_IOU = 0.5

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A box with its category; the score of a true box is 1."""

    box: Box
    category: int
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What is wrong in one image."""

    missed: int
    """True boxes that no detection lies on."""
    false_alarms: int
    """Detections that lie on no true box, or on one that another detection has."""
    wrong_class: int
    """Detections that lie on a true box of another category."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.missed + self.false_alarms + self.wrong_class


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes; 0 where both are empty."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    union = one[2] * one[3] + other[2] * other[3] - common
    return common / union if union > 0 else 0.0


def mistakes(truth: Sequence[Labelled], found: Sequence[Labelled]) -> Mistakes:
    """Counts the mistakes in one image.

    Each true box is given to at most one detection: first those of its own category, by falling score, then the rest.

    Args:
        truth: What is there.
        found: What was detected, above the score that counts.
    """
    free, rest = list(truth), sorted(found, key=lambda one: -one.score)
    rest = [one for one in rest if not _take(one, free, same_category=True)]
    wrong = [one for one in rest if _take(one, free, same_category=False)]
    return Mistakes(missed=len(free), false_alarms=len(rest) - len(wrong), wrong_class=len(wrong))


def worst_first(images: Mapping[int, Mistakes]) -> list[int]:
    """Image ids by falling number of mistakes; of as many, more missed boxes first, then the lower id."""
    return sorted(images, key=lambda image: (-images[image].total, -images[image].missed, image))


def _take(detection: Labelled, free: list[Labelled], *, same_category: bool) -> bool:
    overlaps = [
        (iou(detection.box, true.box), -index)
        for index, true in enumerate(free)
        if (true.category == detection.category) == same_category
    ]
    best, index = max(overlaps, default=(0.0, 0))
    if best < MATCHING_IOU:
        return False
    del free[-index]
    return True
