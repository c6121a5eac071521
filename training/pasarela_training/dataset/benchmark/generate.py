"""A dataset in DeepFashion2's layout of any size: annotations as long as the real ones, images that share few files."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pasarela_training.dataset.split import SPLITS
from pasarela_training.parallel import map_chunks
from pasarela_training.progress import counting_bar
from pasarela_training.synthesize.categories import CATEGORIES

SIZES = ((468, 624), (624, 468), (750, 1000), (468, 702), (600, 600), (400, 560), (702, 468), (540, 720))
"""Of the few distinct images, in pixels."""
_ITEMS = (1, 2, 3)
_ITEM_WEIGHTS = (45, 47, 8)
"""Gives the 1.63 items per image of DeepFashion2."""
_POLYGON_POINTS = (60, 260)
_RATIOS = (0.7, 0.2, 0.1)
MARK = ".pasarela-benchmark"
"""A file in the folder: what it holds was generated and may be deleted. Once all are
there, it names how many."""
_LINKS = 20_000
"""Images that share one file: file systems allow only so many hard links to one."""


def generate_dataset(folder: Path, files: int, processes: int) -> None:
    """Writes `train/image`, `train/annos` and a sample of all of it in `sample`.

    The images of one size are hard links to a few equal files; a JPEG's header is read for each of them all the same.

    Args:
        folder: An empty or new folder.
        files: How many annotations, and as many images.
        processes: How many to use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    for name in ("originals", "data/train/image", "data/train/annos", "sample"):
        (folder / name).mkdir(parents=True)
    noise = np.random.default_rng(0)
    for copy in range(1 + files // (_LINKS * len(SIZES))):
        for number, (width, height) in enumerate(SIZES):
            coarse = noise.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((width, height))
            picture.save(folder / "originals" / f"{copy}-{number}.jpg", quality=85)
    done = 0
    with counting_bar("generate") as show:
        for count in map_chunks(_write, folder, range(1, files + 1), processes=processes):
            done += count
            show(done, files)
    _write_sample(folder / "sample", files)
    (folder / MARK).write_text(f"{files}\n", encoding="ascii")


def _write_sample(folder: Path, files: int) -> None:
    """Lists in the form of the `sample` stage, divided as its defaults do, without a shuffle."""
    start = 0
    for split, share in zip(SPLITS, _RATIOS, strict=True):
        end = files if split == SPLITS[-1] else start + max(1, round(files * share))
        lines = (f"train/{number:06d}\n" for number in range(start + 1, end + 1))
        (folder / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
        start = end


def _write(folder: Path, numbers: Sequence[int]) -> int:
    data = folder / "data" / "train"
    for number in numbers:
        kind, copy = number % len(SIZES), number // (_LINKS * len(SIZES))
        os.link(folder / "originals" / f"{copy}-{kind}.jpg", data / "image" / f"{number:06d}.jpg")
        text = json.dumps(annotation(random.Random(number), *SIZES[kind], pair_id=number // 4))  # noqa: S311 - data
        (data / "annos" / f"{number:06d}.json").write_text(text, encoding="ascii")
    return len(numbers)


def annotation(draw: random.Random, width: int, height: int, pair_id: int) -> dict[str, Any]:
    """The content of one annotation file."""
    items = draw.choices(_ITEMS, _ITEM_WEIGHTS)[0]
    return {
        "source": draw.choice(("user", "shop")),
        "pair_id": pair_id,
        **{f"item{number}": _item(draw, width, height) for number in range(1, items + 1)},
    }


def _item(draw: random.Random, width: int, height: int) -> dict[str, Any]:
    category = draw.choice(CATEGORIES)
    left, top = draw.randrange(width // 2), draw.randrange(height // 2)
    right, bottom = draw.randrange(left + 20, width), draw.randrange(top + 20, height)

    def points(count: int) -> Iterable[tuple[int, int]]:
        return ((draw.randint(left, right), draw.randint(top, bottom)) for _ in range(count))

    outline = [coordinate for point in points(draw.randint(*_POLYGON_POINTS)) for coordinate in point]
    landmarks = [value for point in points(category.landmarks) for value in (*point, draw.choice((1, 2, 2)))]
    return {
        "segmentation": [outline],
        "scale": draw.randint(1, 3),
        "viewpoint": draw.randint(1, 3),
        "zoom_in": draw.randint(1, 3),
        "landmarks": landmarks,
        "style": draw.randint(0, 3),
        "bounding_box": [left, top, right, bottom],
        "category_id": category.id,
        "occlusion": draw.randint(1, 3),
        "category_name": category.name,
    }
