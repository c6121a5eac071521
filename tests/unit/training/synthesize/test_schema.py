"""Expectations written by hand from the description of DeepFashion2, not read from the generator."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pasarela_training.synthesize import CATEGORIES

NAMES = {
    1: "short sleeve top",
    2: "long sleeve top",
    3: "short sleeve outwear",
    4: "long sleeve outwear",
    5: "vest",
    6: "sling",
    7: "shorts",
    8: "trousers",
    9: "skirt",
    10: "short sleeve dress",
    11: "long sleeve dress",
    12: "vest dress",
    13: "sling dress",
}
LANDMARKS = dict(zip(range(1, 14), (25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19), strict=True))
ITEM_KEYS = {
    "category_name",
    "category_id",
    "style",
    "bounding_box",
    "landmarks",
    "segmentation",
    "scale",
    "occlusion",
    "zoom_in",
    "viewpoint",
}


def test_categories_are_those_of_deepfashion2() -> None:
    assert {category.id: category.name for category in CATEGORIES} == NAMES
    assert {category.id: category.landmarks for category in CATEGORIES} == LANDMARKS
    assert sum(category.landmarks for category in CATEGORIES) == 294


def test_layout_on_disk(dataset: Path) -> None:
    images = sorted(path.name for path in (dataset / "train" / "image").iterdir())
    annos = sorted(path.name for path in (dataset / "train" / "annos").iterdir())
    assert images == [f"{index:06d}.jpg" for index in range(1, 97)]
    assert annos == [f"{index:06d}.json" for index in range(1, 97)]
    assert sorted(path.name for path in dataset.iterdir()) == ["train"]


def test_an_annotation_has_source_pair_and_numbered_items(annotations: dict[str, dict[str, Any]]) -> None:
    for stem, entry in annotations.items():
        count = len(entry) - 2
        assert set(entry) == {"source", "pair_id", *(f"item{n}" for n in range(1, count + 1))}, stem
        assert count >= 1, stem
        assert entry["source"] in ("user", "shop"), stem
        assert type(entry["pair_id"]) is int, stem


def marks(item: dict[str, Any]) -> list[tuple[int, int, int]]:
    flat = item["landmarks"]
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def test_an_item_has_the_schema(items: list[dict[str, Any]]) -> None:
    for item in items:
        assert set(item) == ITEM_KEYS
        assert item["category_name"] == NAMES[item["category_id"]]
        assert all(type(value) is int for value in item["landmarks"])
        assert len(item["landmarks"]) == 3 * LANDMARKS[item["category_id"]], "flat: x, y, v of each landmark"
        assert set(item["landmarks"][2::3]) <= {0, 1, 2}
        assert 2 in item["landmarks"][2::3]
        assert all(type(value) is int for value in item["bounding_box"])
        assert item["segmentation"]
        assert all(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in item["segmentation"])
        assert item["scale"] in (1, 2, 3)
        assert item["occlusion"] in (1, 2, 3)
        assert item["zoom_in"] in (1, 2, 3)
        assert item["viewpoint"] in (1, 2, 3)
        assert item["style"] >= 0


def test_boxes_and_landmarks_lie_in_the_image_and_scale_follows_the_box(
    dataset: Path, annotations: dict[str, dict[str, Any]]
) -> None:
    for stem, entry in annotations.items():
        image = cv2.imread(str(dataset / "train" / "image" / f"{stem}.jpg"))
        assert image is not None, stem
        height, width = image.shape[:2]
        for item in (value for key, value in entry.items() if key.startswith("item")):
            x1, y1, x2, y2 = item["bounding_box"]
            assert 0 <= x1 < x2 <= width, stem
            assert 0 <= y1 < y2 <= height, stem
            share = (x2 - x1) * (y2 - y1) / (width * height)
            assert item["scale"] == (1 if share < 0.1 else 2 if share <= 0.4 else 3), stem
            assert all(0 <= x < width and 0 <= y < height for x, y, _ in marks(item)), stem
            assert all((x, y) == (0, 0) for x, y, v in marks(item) if v == 0), stem


def test_polygons_fill_their_box(items: list[dict[str, Any]]) -> None:
    for item in items:
        corners = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in item["segmentation"]])
        x1, y1, x2, y2 = item["bounding_box"]
        assert (corners.min(axis=0) >= (x1, y1)).all()
        assert (corners.max(axis=0) <= (x2 - 1, y2 - 1)).all()
        assert (np.ptp(corners, axis=0) >= 0.9 * np.array([x2 - x1, y2 - y1]) - 2).all()


def test_zoom_follows_the_landmarks_outside(items: list[dict[str, Any]]) -> None:
    for item in items:
        outside = sum(v == 0 for _, _, v in marks(item)) / len(marks(item))
        assert item["zoom_in"] == (1 if outside == 0 else 2 if outside <= 0.3 else 3)


def test_every_class_occurs_and_the_report_counts_them(items: list[dict[str, Any]], report: Any) -> None:
    counted = {category: sum(item["category_id"] == category for item in items) for category in NAMES}
    assert all(counted.values()), counted
    assert report.items == counted
    assert report.images == 96


def test_items_are_as_many_as_in_real_pictures(items: list[dict[str, Any]]) -> None:
    assert 1.25 * 96 <= len(items) <= 2 * 96


def test_easy_garments_are_large_and_rarely_hidden(items: list[dict[str, Any]]) -> None:
    assert np.mean([item["scale"] > 1 for item in items]) > 0.7
    assert np.mean([item["occlusion"] == 1 for item in items]) > 0.6
