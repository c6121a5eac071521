"""What is known of images, whatever layout they come in: the terms in which readers and writers of datasets talk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the image as it is seen (EXIF orientation applied)."""

Action = Literal["dropped", "clipped", "kept", "mended"]
"""What was done about a fault: `kept` leaves the box usable; `mended` put another dialect into the usual form."""

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Category:
    """A class of objects."""

    id: int
    """As the dataset numbers it, which may have gaps. YOLO's class id is its position among all categories, by id."""
    name: str
    landmarks: int = 0
    """How many landmarks an item of it has; 0 if none or unknown."""
    supercategory: str = ""


@dataclass(frozen=True, slots=True, order=True)
class ImageKey:
    """An image of the dataset. The same name occurs in several splits: only both together name an image."""

    split: str
    name: str
    """DeepFashion2: the six digits. Elsewhere: the file's path below the split's folder of images, suffix included,
    with forward slashes."""

    def __str__(self) -> str:
        return f"{self.split}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ImageKey:
        """The inverse of `str`."""
        split, _, name = text.partition("/")
        return cls(split, name)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with an annotation, and what was done about it."""

    key: ImageKey
    where: str
    """`image`, `annotation`, or which item: `item1`, `line 3`, `annotation 17`, …"""
    reason: str
    action: Action
    kind: str = "other"
    """The class of fault that it is counted under: one of `FAULT_KINDS`."""


FAULT_KINDS = (
    "missing key",
    "broken file",
    "missing image",
    "missing annotation",
    "unknown category",
    "no area",
    "outside the image",
    "bad value",
    "duplicate",
    "dialect",
    "other",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One object of an image."""

    number: int
    """From 1 in each image: 1 for DeepFashion2's `item1`."""
    category_id: int
    box: Box
    segmentation: list[list[float]] = field(default_factory=list)
    """Polygons: x, y, x, y, … in pixels."""
    landmarks: list[float] = field(default_factory=list)
    """x, y, visibility (2 visible, 1 occluded, 0 not labelled) for each landmark of the category."""
    style: int = 0
    """Above 0: items of one `pair_id` with the same style show the same garment."""
    attributes: Mapping[str, int] = field(default_factory=dict)
    """DeepFashion2's scale, occlusion, zoom_in, viewpoint."""
    area: float | None = None
    """In square pixels, if the dataset says it; else the box's counts."""
    crowd: Any = None
    """COCO's run-length encoding, for an annotation with `iscrowd` 1; such an item is ground truth for COCO only."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one image."""

    key: ImageKey
    image_id: int
    """Unique over the whole dataset."""
    file_name: str
    """Of the image, relative to the dataset's folder of images (`Source.image_root`), with forward slashes."""
    source: str
    """DeepFashion2's `user` or `shop`; else empty."""
    pair_id: int
    """0 if nothing is known."""
    items: tuple[Item, ...]
    group: str = ""
    """Images of one garment by other means than `pair_id` (DeepFashion 2016: the folder); empty if nothing is known."""


class BrokenAnnotation(Exception):
    """The whole image cannot be used; the message says why."""

    def __init__(self, message: str, kind: str = "broken file") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Entry:
    """A light reference to one image and its annotation: cheap to make, to sort, and to send to another process."""

    key: ImageKey
    image_id: int
    image: Path
    """The file."""
    raw: Any
    """Whatever the source's `read` needs: a path, or what a document says of this image."""
