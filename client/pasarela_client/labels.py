"""Where the labels of boxes go: inside the picture, and not over each other where that can be avoided. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


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
    placed: list[Rectangle] = []
    for box, size in zip(boxes, sizes, strict=True):
        hidden, _, best = min(
            (sum(place.overlap(other) for other in placed), rank, place)
            for rank, place in enumerate(_beside(box, size, picture))
        )
        if hidden:
            best = next((place for place in _further(best, picture) if _is_free(place, placed)), best)
        placed.append(best)
    return placed


def _beside(box: Rectangle, size: tuple[int, int], picture: tuple[int, int]) -> Iterator[Rectangle]:
    width, height = size
    for left in (box.left, box.right - width):
        for top in (box.top - height, box.top, box.bottom, box.bottom - height):
            if 0 <= top <= picture[1] - height:
                yield _inside(left, top, size, picture)
    yield _inside(box.left, box.top, size, picture)


def _further(start: Rectangle, picture: tuple[int, int]) -> Iterator[Rectangle]:
    width, height = start.right - start.left, start.bottom - start.top
    for step in range(1, picture[1] // height + 1):
        for top in (start.top + step * height, start.top - step * height):
            if 0 <= top <= picture[1] - height:
                yield Rectangle(start.left, top, start.left + width, top + height)


def _inside(left: int, top: int, size: tuple[int, int], picture: tuple[int, int]) -> Rectangle:
    left = max(0, min(left, picture[0] - size[0]))
    top = max(0, min(top, picture[1] - size[1]))
    return Rectangle(left, top, left + size[0], top + size[1])


def _is_free(place: Rectangle, placed: Sequence[Rectangle]) -> bool:
    return all(place.overlap(other) == 0 for other in placed)
