"""A hand-written dataset in DeepFashion2's layout, small enough to compute its conversions by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Write = Callable[..., None]


def garment(**changes: Any) -> dict[str, Any]:
    """A skirt (8 landmarks) in the middle of the image."""
    return {
        "category_name": "skirt",
        "category_id": 9,
        "style": 1,
        "bounding_box": [10, 20, 40, 80],
        "landmarks": [10, 20, 2, 20, 20, 1, 40, 20, 2, 10, 50, 2, 10, 80, 2, 25, 80, 0, 40, 80, 2, 40, 50, 2],
        "segmentation": [[10, 20, 40, 20, 40, 80, 10, 80]],
        "scale": 2,
        "occlusion": 1,
        "zoom_in": 1,
        "viewpoint": 2,
    } | changes


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    for split in ("train", "validation"):
        (folder / split / "image").mkdir(parents=True)
        (folder / split / "annos").mkdir()
    return folder


@pytest.fixture
def add_image(dataset: Path) -> Write:
    """Adds an image (100 by 200 pixels unless told) and its annotation; `text` replaces the annotation's text."""

    def add(
        stem: str,
        *items: dict[str, Any],
        split: str = "train",
        size: tuple[int, int] = (100, 200),
        pair_id: Any = 1,
        text: str | None = None,
        orientation: int | None = None,
    ) -> None:
        exif = Image.Exif()
        if orientation is not None:
            exif[0x0112] = orientation
        Image.new("RGB", size, (90, 120, 150)).save(dataset / split / "image" / f"{stem}.jpg", exif=exif)
        content = {"source": "user", "pair_id": pair_id} | {f"item{n}": item for n, item in enumerate(items, start=1)}
        path = dataset / split / "annos" / f"{stem}.json"
        path.write_text(json.dumps(content) if text is None else text, encoding="utf-8")

    return add


@pytest.fixture
def make_garment() -> Callable[..., dict[str, Any]]:
    return garment
