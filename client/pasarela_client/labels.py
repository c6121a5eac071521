"""Where the labels of boxes go: inside the picture, and not over each other where that can be avoided. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    def overlap(self, other: Rectangle) -> int:
        """Area in common, in pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0, width) * max(0, height)


def place_labels(
    boxes: Sequence[Rectangle], sizes: Sequence[tuple[int, int]], picture: tuple[int, int]
) -> list[Rectangle]:
    """A place for each label, the first box choosing first.

    Preferred is the edge of the label's own box: above it, inside its top, below it, inside its bottom; left-aligned
    before right-aligned. If all of these are taken, the nearest free place above or below; if there is none, the
    preferred place that hides the least.

    Args:
        boxes: The boxes; they may reach beyond the picture.
        sizes: Width and height of each label, no larger than the picture.
        picture: Width and height of the picture.

    Returns:
        As many rectangles, each inside the picture.
    """
    placed = np.empty((len(boxes), 4), np.int64)
    for index, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        beside = _beside(box, size, picture)
        hidden = _overlaps(beside, placed[:index])
        best = int(hidden.argmin())
        placed[index] = beside[best]
        if hidden[best] and len(further := _further(beside[best], picture)):
            free = _overlaps(further, placed[:index]) == 0
            if free.any():
                placed[index] = further[int(free.argmax())]
    return [Rectangle(*place) for place in placed.tolist()]


Places = npt.NDArray[np.int64]
"""(n, 4): left, top, right, bottom."""


def _beside(box: Rectangle, size: tuple[int, int], picture: tuple[int, int]) -> Places:
    """At the edges of the box and inside the picture, those preferred first."""
    width, height = size
    most_left, most_top = picture[0] - width, picture[1] - height
    tops = [top for top in (box.top - height, box.top, box.bottom, box.bottom - height) if 0 <= top <= most_top]
    corners = [(left, top) for left in (box.left, box.right - width) for top in tops] + [(box.left, box.top)]
    inside = [(max(0, min(left, most_left)), max(0, min(top, most_top))) for left, top in corners]
    return np.array([(left, top, left + width, top + height) for left, top in inside], np.int64)


def _further(start: Places, picture: tuple[int, int]) -> Places:
    """Above and below, the nearest first, as long as there is picture."""
    left, top, right, bottom = start.tolist()
    height = bottom - top
    steps = np.arange(1, picture[1] // height + 1) * height
    tops = np.stack((top + steps, top - steps), axis=1).ravel()
    tops = tops[(tops >= 0) & (tops <= picture[1] - height)]
    return np.stack((np.full_like(tops, left), tops, np.full_like(tops, right), tops + height), axis=1)


def _overlaps(places: Places, others: Places) -> npt.NDArray[np.int64]:
    """How many pixels of each place the others cover, each counted by itself."""
    corner = np.maximum(places[:, None, :2], others[:, :2])
    edges = np.maximum(np.minimum(places[:, None, 2:], others[:, 2:]) - corner, 0)
    covered: npt.NDArray[np.int64] = (edges[..., 0] * edges[..., 1]).sum(axis=1)
    return covered
