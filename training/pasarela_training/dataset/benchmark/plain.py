"""A straightforward conversion, to measure against: one process, everything in memory.

It does what DeepFashion2's public converter is documented to do (see docs/training.md): opens every image for its
size, gives every item the 294 landmarks of all categories, mostly zero, and writes one document at the end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from pasarela_training.synthesize.categories import CATEGORIES


def convert_plainly(split: Path, output: Path) -> None:
    """Converts a folder with `image` and `annos`.

    Args:
        split: The folder.
        output: The JSON file to write.
    """
    offsets = {}
    landmarks = 0
    for category in CATEGORIES:
        offsets[category.id] = landmarks
        landmarks += category.landmarks
    categories = [{"id": one.id, "name": one.name, "supercategory": "clothes"} for one in CATEGORIES]
    document: dict[str, Any] = {"info": {}, "licenses": [], "categories": categories, "images": [], "annotations": []}
    for path in sorted((split / "annos").iterdir()):
        with path.open(encoding="utf-8") as file:
            content = json.load(file)
        image_path = split / "image" / f"{path.stem}.jpg"
        with Image.open(image_path) as image:
            width, height = image.size
        number = int(path.stem)
        document["images"].append(
            {"id": number, "file_name": image_path.name, "width": width, "height": height, "license": 0}
        )
        for name, item in content.items():
            if name in ("source", "pair_id"):
                continue
            left, top, right, bottom = item["bounding_box"]
            points = [0] * (3 * landmarks)
            start = 3 * offsets[item["category_id"]]
            points[start : start + len(item["landmarks"])] = item["landmarks"]
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": number,
                    "category_id": item["category_id"],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "segmentation": item["segmentation"],
                    "keypoints": points,
                    "num_keypoints": sum(1 for visibility in points[2::3] if visibility),
                    "iscrowd": 0,
                    "style": item["style"],
                    "pair_id": content["pair_id"],
                }
            )
    with output.open("w", encoding="utf-8") as file:
        json.dump(document, file)
