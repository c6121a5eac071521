"""The `yolo` stage: labels and links to the images, as Ultralytics reads them."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import yaml

from pasarela_training.dataset.content import content_digest, write_contents
from pasarela_training.dataset.split import SPLITS
from pasarela_training.fingerprint import file_sha256
from pasarela_training.progress import progress
from pasarela_training.synthesize.categories import CATEGORIES


def make_yolo(source: Path, coco: Path, output: Path) -> str:
    """Writes `labels/<split>/*.txt`, `images/<split>/*` (links) and `data.yaml`.

    Args:
        source: The dataset that the images lie in.
        coco: Output of the `coco` stage.
        output: Folder to write into; it may be renamed afterwards, since nothing in it names it.

    Returns:
        One line that says what was written.
    """
    images = 0
    digests: dict[str, str] = {}
    for split in SPLITS:
        document = json.loads((coco / f"{split}.json").read_text(encoding="utf-8"))
        lines: dict[int, list[str]] = defaultdict(list)
        size = {image["id"]: (image["width"], image["height"]) for image in document["images"]}
        for annotation in document["annotations"]:
            image = annotation["image_id"]
            lines[image].append(label_line(annotation["category_id"], annotation["bbox"], *size[image]))
        for folder in ("images", "labels"):
            (output / folder / split).mkdir(parents=True)
        entries: list[tuple[str, str, str]] = []
        for image in progress(document["images"], f"yolo {split}"):
            original = (source / image["file_name"]).resolve()
            name = f"{image['file_name'].split('/', 1)[0]}_{original.stem}"
            link(original, output / "images" / split / f"{name}{original.suffix}")
            text = "".join(f"{line}\n" for line in lines[image["id"]])
            (output / "labels" / split / f"{name}.txt").write_text(text, encoding="ascii")
            entries.append((f"{name}{original.suffix}", file_sha256(original), text))
            images += 1
        digests[split] = content_digest(entries)
    write_contents(output, digests)
    settings = {split: f"images/{split}" for split in SPLITS} | {
        "names": {category.id - 1: category.name for category in CATEGORIES}
    }
    (output / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return f"{images} images linked and labelled"


def label_line(category_id: int, box: Sequence[float], width: int, height: int) -> str:
    """One line of a label file.

    Args:
        category_id: From 1, as in COCO; YOLO counts from 0.
        box: Left, top, width, height in pixels.
        width: Of the image, in pixels.
        height: Of the image, in pixels.
    """
    left, top, across, down = box
    values = ((left + across / 2) / width, (top + down / 2) / height, across / width, down / height)
    return f"{category_id - 1} " + " ".join(f"{value:.6f}" for value in values)


def parse_label_line(line: str, width: int, height: int) -> tuple[int, tuple[float, float, float, float]]:
    """The inverse of `label_line`: category id from 1, and left, top, width, height in pixels."""
    number, *values = line.split()
    x, y, across, down = (float(value) for value in values)
    return int(number) + 1, ((x - across / 2) * width, (y - down / 2) * height, across * width, down * height)


def link(original: Path, place: Path) -> None:
    """Makes a file appear at another place without copying it: a hard link, or a symbolic one between file systems."""
    try:
        os.link(original, place)
    except OSError:
        place.symlink_to(original)
