"""The entries of a COCO document, as this project writes them.

The format: https://cocodataset.org/#format-data. What DeepFashion2 knows beyond it stays as extra keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pasarela_training.dataset.records import Annotation, Box, Category, Item
from pasarela_training.synthesize.categories import CATEGORIES

ROUNDING = 0.01
"""Pixels by which a box may exceed its image without mention: what six decimals of a normalised label lose."""

_IS_ABOVE_ZERO = (0.0).__lt__
_GARMENTS = frozenset((category.id, category.name) for category in CATEGORIES)


def header(split: str, categories: Iterable[Category]) -> dict[str, Any]:
    """`info`, `licenses` and `categories`; the same categories for every split."""
    return {
        "info": {"description": f"{split} split, converted by pasarela-training", "version": "1.0"},
        "licenses": [{"id": 1, "name": "As the dataset that the images came from", "url": ""}],
        "categories": [
            {"id": category.id, "name": category.name, "supercategory": _supercategory(category)}
            for category in categories
        ],
    }


def _supercategory(category: Category) -> str:
    return category.supercategory or ("clothes" if (category.id, category.name) in _GARMENTS else "")


def clip_box(box: Box, width: int, height: int) -> Box | None:
    """The part of a box that lies in the image; None if there is none, or it has no area."""
    left, top, right, bottom = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    return (left, top, right, bottom) if right > left and bottom > top else None


def image_entry(annotation: Annotation, width: int, height: int) -> dict[str, Any]:
    """The entry of an image in `images`; `source`, `pair_id` and `group` only where they are known."""
    entry: dict[str, Any] = {
        "id": annotation.image_id,
        "file_name": annotation.file_name,
        "width": width,
        "height": height,
        "license": 1,
    }
    if annotation.source:
        entry["source"] = annotation.source
    if annotation.pair_id:
        entry["pair_id"] = annotation.pair_id
    if annotation.group:
        entry["group"] = annotation.group
    return entry


def annotation_entry(image: int, item: Item, box: Box) -> dict[str, Any]:
    """The entry of an item in `annotations`, without its `id`.

    Without an area of the dataset's own, `area` is the clipped box's, as the public converter of DeepFashion2 has it.
    `keypoints` are those of the item's own category only.

    Args:
        image: Id of the image.
        item: The item.
        box: Its box, clipped to the image.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    crowd = item.crowd is not None
    entry: dict[str, Any] = {
        "image_id": image,
        "category_id": item.category_id,
        "bbox": (left, top, width, height),
        "area": width * height if item.area is None else item.area,
        "segmentation": item.crowd if crowd else item.segmentation,
        "iscrowd": int(crowd),
        "style": item.style,
        **item.attributes,
    }
    if item.landmarks:
        entry["keypoints"] = item.landmarks
        entry["num_keypoints"] = sum(map(_IS_ABOVE_ZERO, item.landmarks[2::3]))
    return entry
