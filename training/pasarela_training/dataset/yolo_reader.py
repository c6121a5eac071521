"""Reading the YOLO form back, as a COCO document: the proof that nothing was lost but crowds and extra keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pasarela_training.dataset.coco_entries import header
from pasarela_training.dataset.image_size import image_size
from pasarela_training.dataset.records import Category
from pasarela_training.dataset.yolo_labels import parse_label_line
from pasarela_training.errors import TrainingError


def yolo_to_coco(folder: Path, split: str, categories: Sequence[Category]) -> dict[str, Any]:
    """A COCO document of one split, by rising name of the images, which are numbered from 1.

    Args:
        folder: Output of the `yolo` stage.
        split: train, val or test.
        categories: Of the dataset, by rising id: YOLO's class is the position among them.

    Raises:
        TrainingError: A label cannot be read; the message names the line.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, path in enumerate(sorted((folder / "images" / split).iterdir()), start=1):
        width, height = image_size(path)
        images.append({"id": number, "file_name": path.name, "width": width, "height": height, "license": 1})
        labels = folder / "labels" / split / f"{path.stem}.txt"
        for row, line in enumerate(labels.read_text(encoding="ascii").splitlines(), start=1):
            try:
                class_id, box = parse_label_line(line, width, height)
                category = categories[class_id]
            except (ValueError, IndexError) as error:
                raise TrainingError(f"{labels}, line {row}: {error}; expected class, x, y, width, height") from error
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category.id,
                    "bbox": list(box),
                    "area": box[2] * box[3],
                    "segmentation": [],
                    "iscrowd": 0,
                }
            )
    return header(split, categories) | {"images": images, "annotations": annotations}
