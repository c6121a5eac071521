"""The `coco` stage: one COCO JSON per split, with DeepFashion2's attributes kept as extra keys."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from pasarela_training.dataset.deepfashion2 import (
    Annotation,
    BrokenAnnotation,
    Fault,
    ImageKey,
    Item,
    image_path,
    read_annotation,
)
from pasarela_training.dataset.sample import read_sample
from pasarela_training.errors import TrainingError
from pasarela_training.progress import progress
from pasarela_training.synthesize.categories import CATEGORIES

SPLIT_OFFSET = 1_000_000
"""Images of the validation folder get their number plus this, since stems repeat between folders."""
_EXIF_ORIENTATION = 0x0112


def make_coco(source: Path, sample: Path, output: Path) -> str:
    """Converts every split of a sample to COCO JSON, and writes a report of all faults.

    Args:
        source: A folder in DeepFashion2's layout.
        sample: Output of the `sample` stage.
        output: Folder to write `train.json`, `val.json`, `test.json` and `report.json` into.

    Returns:
        One line that says what was written.
    """
    faults: list[Fault] = []
    written = Counter[str]()
    for split, keys in read_sample(sample).items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for key in progress(keys, f"coco {split}"):
            try:
                annotation, found = read_annotation(source, key)
                width, height = image_size(image_path(source, key))
            except (BrokenAnnotation, UnidentifiedImageError, OSError) as error:
                faults.append(Fault(key, "annotation", str(error), "dropped"))
                continue
            faults += found
            entries: list[dict[str, Any]] = []
            for item in annotation.items:
                clipped = clip_box(item.box, width, height)
                if clipped is None:
                    faults.append(Fault(key, f"item{item.number}", "bounding_box is outside the image", "dropped"))
                    continue
                if clipped != item.box:
                    faults.append(Fault(key, f"item{item.number}", "bounding_box exceeds the image", "clipped"))
                number = len(annotations) + len(entries) + 1
                entries.append(annotation_entry(number, image_id(key), item, clipped))
            if not entries:
                faults.append(Fault(key, "image", "none of its items can be used", "dropped"))
                continue
            images.append(image_entry(annotation, width, height))
            annotations += entries
        if not images:
            raise TrainingError(
                f"coco: no image of the {split} split has a usable item; the first fault is "
                f"{faults[0].key} {faults[0].where}: {faults[0].reason}"
            )
        written.update(images=len(images), items=len(annotations))
        (output / f"{split}.json").write_text(json.dumps(document(split, images, annotations)), encoding="utf-8")
    unread = json.loads((sample / "manifest.json").read_text(encoding="utf-8"))["faults"]
    report = {
        "counts": dict(Counter(fault.action for fault in faults) + Counter(fault["action"] for fault in unread)),
        "faults": unread + [asdict(fault) for fault in faults],
    }
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    counts = ", ".join(f"{count} {action}" for action, count in report["counts"].items()) or "none"
    return f"{written['images']} images with {written['items']} items; faults: {counts}"


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the picture is seen (EXIF orientation applied), read from the header only."""
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
    return (height, width) if turned else (width, height)


def image_id(key: ImageKey) -> int:
    """The number of an image, unique over the folders of the dataset."""
    return int(key.stem) + (SPLIT_OFFSET if key.split == "validation" else 0)


def clip_box(
    box: tuple[float, float, float, float], width: int, height: int
) -> tuple[float, float, float, float] | None:
    """The part of a box that lies in the image; None if there is none."""
    left, top, right, bottom = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    return (left, top, right, bottom) if right > left and bottom > top else None


def image_entry(annotation: Annotation, width: int, height: int) -> dict[str, Any]:
    """The entry of an image in `images`."""
    key = annotation.key
    return {
        "id": image_id(key),
        "file_name": f"{key.split}/image/{key.stem}.jpg",
        "width": width,
        "height": height,
        "license": 1,
        "source": annotation.source,
        "pair_id": annotation.pair_id,
    }


def annotation_entry(number: int, image: int, item: Item, box: tuple[float, float, float, float]) -> dict[str, Any]:
    """The entry of an item in `annotations`.

    `area` is the box's, as the public converter has it; `keypoints` are those of the item's own category only.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    entry: dict[str, Any] = {
        "id": number,
        "image_id": image,
        "category_id": item.category_id,
        "bbox": [left, top, width, height],
        "area": width * height,
        "segmentation": item.segmentation,
        "iscrowd": 0,
        "style": item.style,
        **item.attributes,
    }
    if item.landmarks:
        entry["keypoints"] = item.landmarks
        entry["num_keypoints"] = sum(1 for visibility in item.landmarks[2::3] if visibility > 0)
    return entry


def document(split: str, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """A COCO document."""
    return {
        "info": {"description": f"Garments in DeepFashion2's schema, {split} split", "version": "1.0"},
        "licenses": [{"id": 1, "name": "As the dataset that the images came from", "url": ""}],
        "categories": [
            {"id": category.id, "name": category.name, "supercategory": "clothes"} for category in CATEGORIES
        ],
        "images": images,
        "annotations": annotations,
    }
