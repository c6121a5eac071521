"""Annotations of DeepFashion2: reading them, and saying what is wrong with them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pasarela_training.synthesize.categories import CATEGORIES

CATEGORY_BY_ID = {category.id: category for category in CATEGORIES}
ATTRIBUTES = {"scale": 3, "occlusion": 3, "zoom_in": 3, "viewpoint": 3}
"""Attributes of an item, each from 1 to this."""

Action = Literal["dropped", "clipped", "kept"]


@dataclass(frozen=True, slots=True, order=True)
class ImageKey:
    """An image of the dataset. The same stem occurs in several splits: only both together name an image."""

    split: str
    stem: str

    def __str__(self) -> str:
        return f"{self.split}/{self.stem}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with an annotation, and what was done about it."""

    key: ImageKey
    where: str
    reason: str
    action: Action


@dataclass(frozen=True, slots=True)
class Item:
    """One garment of an image."""

    number: int
    """1 for `item1`."""
    category_id: int
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels."""
    segmentation: list[list[float]]
    """Polygons: x, y, x, y, … in pixels."""
    landmarks: list[float]
    """x, y, visibility (2 visible, 1 occluded, 0 not labelled) for each landmark of the category."""
    style: int
    attributes: dict[str, int]
    """scale, occlusion, zoom_in, viewpoint."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one image."""

    key: ImageKey
    source: str
    pair_id: int
    items: tuple[Item, ...]


class BrokenAnnotation(Exception):
    """The whole file cannot be used; the message says why."""


def image_path(source: Path, key: ImageKey) -> Path:
    """Where an image lies."""
    return source / key.split / "image" / f"{key.stem}.jpg"


def annotation_path(source: Path, key: ImageKey) -> Path:
    """Where an image's annotation lies."""
    return source / key.split / "annos" / f"{key.stem}.json"


def read_annotation(source: Path, key: ImageKey) -> tuple[Annotation, list[Fault]]:
    """Reads the annotation of one image.

    Returns:
        The annotation with its usable items, and the faults of the others.

    Raises:
        BrokenAnnotation: The file is missing, is no JSON object, or has no item at all.
    """
    try:
        content = json.loads(annotation_path(source, key).read_bytes())
    except FileNotFoundError as error:
        raise BrokenAnnotation("there is no annotation for this image") from error
    except (OSError, ValueError) as error:
        raise BrokenAnnotation(f"not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise BrokenAnnotation(f"expected a JSON object, found {type(content).__name__}")
    return parse_annotation(key, content)


def parse_annotation(key: ImageKey, content: dict[str, Any]) -> tuple[Annotation, list[Fault]]:
    """Reads the content of an annotation file. See `read_annotation`."""
    names = sorted((name for name in content if name.startswith("item")), key=lambda name: (len(name), name))
    if not names:
        raise BrokenAnnotation("has no item")
    items: list[Item] = []
    faults: list[Fault] = []
    for name in names:
        try:
            number = int(name.removeprefix("item"))
            item, reasons = _parse_item(number, content[name])
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            faults.append(Fault(key, name, reason, "dropped"))
            continue
        items.append(item)
        faults.extend(Fault(key, name, reason, "kept") for reason in reasons)
    pair_id = content.get("pair_id")
    if not isinstance(pair_id, int):
        faults.append(Fault(key, "pair_id", f"expected an integer, found {pair_id!r}; taken as 0", "kept"))
        pair_id = 0
    return Annotation(key, str(content.get("source", "")), pair_id, tuple(items)), faults


def _parse_item(number: int, content: dict[str, Any]) -> tuple[Item, list[str]]:
    """One item, and what is odd about it without making its box useless."""
    category_id = content["category_id"]
    category = CATEGORY_BY_ID.get(category_id) if isinstance(category_id, int) else None
    if category is None:
        raise ValueError(f"category_id is {category_id!r}, expected 1 to {len(CATEGORIES)}")
    left, top, right, bottom = _box(content["bounding_box"])
    if right <= left or bottom <= top:
        raise ValueError(f"bounding_box {content['bounding_box']} has no area")
    reasons = []
    if content.get("category_name") != category.name:
        reasons.append(
            f"category_name {content.get('category_name')!r} does not fit category_id {category.id} "
            f"({category.name}); the id was taken"
        )
    landmarks = _flat(content.get("landmarks", ()))
    if landmarks and len(landmarks) != 3 * category.landmarks:
        reasons.append(f"landmarks has {len(landmarks)} numbers, expected {3 * category.landmarks}; they were left out")
        landmarks = []
    polygons = [[float(value) for value in polygon] for polygon in content.get("segmentation", ())]
    usable = [polygon for polygon in polygons if len(polygon) >= 6 and len(polygon) % 2 == 0]
    if len(usable) != len(polygons):
        reasons.append("segmentation has a polygon of fewer than three points; it was left out")
    attributes = {name: content[name] for name in ATTRIBUTES if name in content}
    for name, value in list(attributes.items()):
        if not isinstance(value, int) or not 1 <= value <= ATTRIBUTES[name]:
            reasons.append(f"{name} is {value!r}, expected 1 to {ATTRIBUTES[name]}; it was left out")
            del attributes[name]
    style = content.get("style", 0)
    item = Item(
        number=number,
        category_id=category.id,
        box=(left, top, right, bottom),
        segmentation=usable,
        landmarks=landmarks,
        style=style if isinstance(style, int) else 0,
        attributes=attributes,
    )
    return item, reasons


def _flat(values: Any) -> list[float]:
    """Numbers, whether they come as x, y, v, x, y, v, … or as [x, y, v] each."""
    return [float(number) for value in values for number in (value if isinstance(value, list) else (value,))]


def _box(value: object) -> tuple[float, float, float, float]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f"bounding_box is {value!r}, expected [left, top, right, bottom]")
    left, top, right, bottom = (float(corner) for corner in value)
    if not all(math.isfinite(corner) for corner in (left, top, right, bottom)):
        raise ValueError(f"bounding_box is {value!r}, expected finite numbers")
    return left, top, right, bottom
