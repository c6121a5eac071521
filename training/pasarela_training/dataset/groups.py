"""Which images belong together, so that one garment is never on two sides of a split. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

GroupBy = Literal["image", "pair", "garment"]


@dataclass(frozen=True, slots=True)
class Kinship:
    """What an image's annotation says of the garments it shares with others."""

    key: str
    pair_id: int = 0
    """0 if nothing is known."""
    styles: tuple[int, ...] = ()
    """Those above 0 of its items."""
    group: str = ""
    """Other images of one garment; empty if nothing is known."""


def group_images(images: Sequence[Kinship], by: GroupBy) -> list[Hashable]:
    """The group of each image: equal for those that must stay together.

    Args:
        images: In the dataset's order.
        by: `image`: each for itself. `pair`: those of one `pair_id`, or else of one `group`. `garment`: those that
            share a garment (the same `pair_id` and the same style above 0, or the same `group`) with each other,
            directly or through further images.
    """
    if by == "image":
        return [image.key for image in images]
    if by == "pair":
        return [_pair(image) for image in images]
    return _garments(images)


def _pair(image: Kinship) -> Hashable:
    if image.pair_id > 0:
        return image.pair_id
    return ("group", image.group) if image.group else image.key


def _garments(images: Sequence[Kinship]) -> list[Hashable]:
    parents = list(range(len(images)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first: dict[Hashable, int] = {}
    for index, image in enumerate(images):
        garments: list[Hashable] = [(image.pair_id, style) for style in image.styles] if image.pair_id > 0 else []
        if image.group:
            garments.append(image.group)
        for garment in garments:
            one, other = root(first.setdefault(garment, index)), root(index)
            parents[max(one, other)] = min(one, other)
    return [root(index) for index in range(len(images))]
