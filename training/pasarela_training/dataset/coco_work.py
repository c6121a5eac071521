"""One process's share of the conversion to COCO: from entries of a dataset to finished lines of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from pasarela_training.dataset.coco_entries import ROUNDING, annotation_entry, clip_box, image_entry
from pasarela_training.dataset.image_size import image_size
from pasarela_training.dataset.records import Annotation, Box, BrokenAnnotation, Entry, Fault, ImageKey, Item
from pasarela_training.dataset.sources.base import Source

Job = tuple[str, str, str, int, str, Any]
"""An image on its way to another process: split of the sample, then what its `Entry` holds, as plain values."""


def job(split: str, entry: Entry) -> Job:
    """An image as it is sent to another process: several times cheaper than an `Entry`."""
    return split, entry.key.split, entry.key.name, entry.image_id, str(entry.image), entry.raw


@dataclass(slots=True)
class Converted:
    """What came of some images of one split."""

    split: str
    read: int = 0
    """Images looked at."""
    images: list[bytes] = field(default_factory=list)
    """An entry of `images` each."""
    annotations: list[bytes] = field(default_factory=list)
    """An entry of `annotations` each, in the order of the images, without the opening brace and without `id`."""
    faults: list[Fault] = field(default_factory=list)


def convert_chunk(source: Source, elements: Sequence[Job]) -> list[Converted]:
    """Reads and converts images. What cannot be used becomes a fault; nothing is raised for it.

    Args:
        source: The dataset.
        elements: A `job` for each image.

    Returns:
        One for each run of images of the same split.
    """
    results: list[Converted] = []
    for split, folder, name, image_id, image, raw in elements:
        if not results or results[-1].split != split:
            results.append(Converted(split))
        entry = Entry(ImageKey(folder, name), image_id, Path(image), raw)
        _convert(results[-1], source, entry, image)
    return results


def _convert(result: Converted, source: Source, entry: Entry, image: str) -> None:
    result.read += 1
    try:
        annotation, found = source.read(entry)
    except BrokenAnnotation as error:
        result.faults.append(Fault(entry.key, "annotation", str(error), "dropped", error.kind))
        return
    result.faults += found
    try:
        width, height = image_size(image)
    except OSError as error:
        reason = f"the image cannot be read: {error.strerror or error}"
        result.faults.append(Fault(entry.key, "image", reason, "dropped", "missing image"))
        return
    lost = bool(found) and any(fault.action == "dropped" for fault in found)
    _add(result, annotation, width, height, lost)


def _add(result: Converted, annotation: Annotation, width: int, height: int, lost: bool) -> None:
    """Adds an image with its items, unless every item that it had is lost."""
    lines = []
    for item in annotation.items:
        box, fault = fit_box(annotation, item, width, height)
        if fault is not None:
            result.faults.append(fault)
        if box is None:
            lost = True
            continue
        lines.append(_dump(annotation_entry(annotation.image_id, item, box))[1:])
    if not lines and lost:
        reason = "none of its items can be used"
        result.faults.append(Fault(annotation.key, "image", reason, "dropped", _last_kind(result, annotation)))
        return
    result.images.append(_dump(image_entry(annotation, width, height)))
    result.annotations += lines


def fit_box(annotation: Annotation, item: Item, width: int, height: int) -> tuple[Box | None, Fault | None]:
    """An item's box within the image (None if nothing of it is), and what was wrong with it."""
    box, where = item.box, f"item{item.number}"
    if not (box[2] > box[0] and box[3] > box[1]):
        return None, Fault(annotation.key, where, f"the box {_text(box)} has no area", "dropped", "no area")
    clipped = clip_box(box, width, height)
    if clipped is None:
        reason = f"the box {_text(box)} lies outside the image of {width} × {height} pixels"
        return None, Fault(annotation.key, where, reason, "dropped", "outside the image")
    if clipped == box:
        return clipped, None
    if max(abs(one - other) for one, other in zip(box, clipped, strict=True)) > ROUNDING:
        reason = f"the box {_text(box)} exceeds the image of {width} × {height} pixels"
        return clipped, Fault(annotation.key, where, reason, "clipped", "outside the image")
    return clipped, None


def _last_kind(result: Converted, annotation: Annotation) -> str:
    """The image is lost by the same kind of fault as its last item."""
    return next(fault.kind for fault in reversed(result.faults) if fault.key == annotation.key)


def _text(box: Box) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box) + "]"


def _dump(entry: dict[str, object]) -> bytes:
    return orjson.dumps(entry)
