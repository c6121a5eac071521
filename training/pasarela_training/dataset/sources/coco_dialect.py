"""Putting COCO documents into the usual form, whatever dialect they are written in, and counting what was mended.

The usual form is described at https://cocodataset.org/#format-data. DeepFashion2 also circulates with ids as text,
`is_crowd: [0]`, no `area`, and `landmarks` instead of `keypoints`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pasarela_training.dataset.records import Category, Item
from pasarela_training.dataset.sources.numbers import (
    LARGEST_ID,
    BadValue,
    finite,
    four_numbers,
    is_integer,
    read_attributes,
    read_landmarks,
    read_polygons,
    shown,
)

Id = int | str


def read_id(value: object, what: str, mended: Counter[str]) -> Id:
    """An id, as a whole number if it can be one.

    Args:
        value: What the document has.
        what: Of what it is the id, in the plural.
        mended: Counts ids that were written as something else.

    Raises:
        BadValue: It is neither a number nor text.
    """
    if is_integer(value) and isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        mended[f"ids of {what} written as fractions"] += 1
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdecimal() and len(text) <= 18:
            mended[f"ids of {what} written as text"] += 1
            return int(text)
        if text:
            return text
    raise BadValue(f"id is {shown(value)}, expected a whole number")


def usable_id(value: Id) -> bool:
    """Whether it may stay as it is."""
    return isinstance(value, int) and 0 <= value <= LARGEST_ID


def read_crowd(annotation: Mapping[str, Any], mended: Counter[str]) -> bool:
    """Whether an annotation stands for a crowd."""
    value = annotation.get("iscrowd")
    if "iscrowd" not in annotation and "is_crowd" in annotation:
        mended["is_crowd instead of iscrowd"] += 1
        value = annotation["is_crowd"]
    if isinstance(value, list):
        mended["crowd flags in lists"] += 1
        value = value[0] if value else 0
    if value not in (None, 0, 1):
        mended["crowd flags that are neither 0 nor 1"] += 1
    return value in (1, "1")


def read_item(number: int, annotation: Mapping[str, Any], category: Category, crowd: bool) -> tuple[Item, list[str]]:
    """One annotation, and what is odd about it without making its box useless.

    Raises:
        BadValue: It cannot be used.
    """
    if "bbox" not in annotation:
        raise BadValue("bbox is missing", "missing key")
    left, top, width, height = four_numbers("bbox", annotation["bbox"], "[left, top, width, height]")
    if width <= 0 or height <= 0:
        raise BadValue(f"bbox {shown(annotation['bbox'])} has no area", "no area")
    right, bottom = left + width, top + height
    reasons: list[str] = []
    area: float | None = None
    if annotation.get("area") is not None:
        try:
            area = finite(annotation["area"])
        except BadValue as error:
            reasons.append(f"area: {error}; the box's is taken")
        if area is not None and area < 0:
            reasons.append(f"area is {area}, expected none below 0; the box's is taken")
            area = None
    segmentation = annotation.get("segmentation")
    polygons: list[list[float]] = []
    if crowd:
        whole = [[left, top, right, top, right, bottom, left, bottom]]
        segmentation = segmentation if isinstance(segmentation, dict) else segmentation or whole
    elif isinstance(segmentation, dict):
        reasons.append("segmentation is a run-length mask, expected polygons; it was left out")
    else:
        polygons, about = read_polygons(segmentation)
        reasons += about
    landmarks, about = read_landmarks(annotation.get("keypoints"), category.landmarks)
    attributes, also = read_attributes(dict(annotation))
    style = annotation.get("style", 0)
    item = Item(
        number=number,
        category_id=category.id,
        box=(left, top, right, bottom),
        segmentation=polygons,
        landmarks=landmarks,
        style=style if is_integer(style) and 0 <= style < 2**63 else 0,
        attributes=attributes,
        area=area,
        crowd=segmentation if crowd else None,
    )
    return item, reasons + about + also


def mend_annotation(annotation: dict[str, Any], mended: Counter[str]) -> None:
    """Gives an annotation the usual keys, in place."""
    if annotation.get("area") is None:
        mended["areas missing"] += 1
    if "keypoints" not in annotation and "landmarks" in annotation:
        mended["landmarks instead of keypoints"] += 1
        annotation["keypoints"] = annotation.pop("landmarks")
