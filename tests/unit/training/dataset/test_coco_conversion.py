import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.config import SampleSection
from pasarela_training.dataset.coco import clip_box, image_size, make_coco
from pasarela_training.dataset.sample import make_sample
from pasarela_training.errors import TrainingError

Garment = Callable[..., dict[str, Any]]
Documents = tuple[dict[int, dict[str, Any]], list[dict[str, Any]], dict[str, Any]]


def convert(dataset: Path, tmp_path: Path) -> Documents:
    """Images by id and annotations of all splits, and the report."""
    for name in ("sample", "coco"):
        (tmp_path / name).mkdir()
    make_sample(dataset, SampleSection(splits=("train", "validation")), tmp_path / "sample")
    make_coco(dataset, tmp_path / "sample", tmp_path / "coco")
    images: dict[int, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for split in ("train", "val", "test"):
        document = json.loads((tmp_path / "coco" / f"{split}.json").read_text())
        assert set(document) == {"info", "licenses", "categories", "images", "annotations"}
        assert [category["id"] for category in document["categories"]] == list(range(1, 14))
        images |= {image["id"]: image for image in document["images"]}
        annotations += document["annotations"]
    return images, annotations, json.loads((tmp_path / "coco" / "report.json").read_text())


@pytest.fixture
def twenty_more(add_image: Callable[..., None], make_garment: Garment) -> None:
    for number in range(101, 121):
        add_image(f"{number:06d}", make_garment())


@pytest.mark.usefixtures("twenty_more")
def test_every_field_of_a_hand_written_annotation(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    add_image("000007", make_garment(), split="validation", pair_id=12)
    images, annotations, report = convert(dataset, tmp_path)
    assert images[1_000_007] == {
        "id": 1_000_007,
        "file_name": "validation/image/000007.jpg",
        "width": 100,
        "height": 200,
        "license": 1,
        "source": "user",
        "pair_id": 12,
    }
    (annotation,) = [one for one in annotations if one["image_id"] == 1_000_007]
    del annotation["id"]
    assert annotation == {
        "image_id": 1_000_007,
        "category_id": 9,
        "bbox": [10, 20, 30, 60],  # left, top, 40 - 10, 80 - 20
        "area": 1800,  # 30 × 60
        "segmentation": [[10, 20, 40, 20, 40, 80, 10, 80]],
        "iscrowd": 0,
        "style": 1,
        "scale": 2,
        "occlusion": 1,
        "zoom_in": 1,
        "viewpoint": 2,
        "keypoints": [10, 20, 2, 20, 20, 1, 40, 20, 2, 10, 50, 2, 10, 80, 2, 25, 80, 0, 40, 80, 2, 40, 50, 2],
        "num_keypoints": 7,  # all but the one with visibility 0
    }
    assert report == {"counts": {}, "faults": []}


@pytest.mark.usefixtures("twenty_more")
def test_annotations_are_numbered_without_gaps(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    outside = make_garment(bounding_box=[300, 300, 400, 400])
    add_image("000001", outside, make_garment(), make_garment())
    convert(dataset, tmp_path)
    for split in ("train", "val", "test"):
        document = json.loads((tmp_path / "coco" / f"{split}.json").read_text())
        assert [one["id"] for one in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))


@pytest.mark.usefixtures("twenty_more")
def test_faults_are_counted_and_listed_with_what_was_done(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    add_image("000001", make_garment(category_id=99), make_garment(bounding_box=[90, 20, 130, 80]))
    add_image("000005", make_garment(bounding_box=[300, 300, 400, 400]))
    add_image("000006", text="{")
    images, annotations, report = convert(dataset, tmp_path)
    assert sorted(images) == [1, *range(101, 121)]
    (clipped,) = [one["bbox"] for one in annotations if one["image_id"] == 1]
    assert clipped == [90, 20, 10, 60]
    assert report["counts"] == {"dropped": 4, "clipped": 1}
    assert {(fault["key"]["stem"], fault["where"], fault["action"]) for fault in report["faults"]} == {
        ("000001", "item1", "dropped"),
        ("000001", "item2", "clipped"),
        ("000005", "item1", "dropped"),
        ("000005", "image", "dropped"),
        ("000006", "annotation", "dropped"),
    }


def test_a_split_without_a_single_usable_item_is_an_error(
    dataset: Path, add_image: Callable[..., None], make_garment: Garment, tmp_path: Path
) -> None:
    for stem in ("000001", "000002", "000003"):
        add_image(stem, make_garment(category_id=0))
    with pytest.raises(TrainingError, match=r"no image of the \w+ split has a usable item.*category_id is 0"):
        convert(dataset, tmp_path)


@pytest.mark.parametrize(
    ("orientation", "size"),
    [
        (None, (100, 200)),  # reason: as it lies
        (3, (100, 200)),  # reason: upside down keeps width and height
        (6, (200, 100)),  # reason: a quarter turn swaps them, and viewers apply it
    ],
)
def test_sizes_are_those_of_the_picture_as_it_is_seen(
    dataset: Path,
    add_image: Callable[..., None],
    make_garment: Garment,
    orientation: int | None,
    size: tuple[int, int],
) -> None:
    add_image("000001", make_garment(), orientation=orientation)
    assert image_size(dataset / "train" / "image" / "000001.jpg") == size


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        ((10, 20, 40, 80), (10, 20, 40, 80)),  # reason: inside
        ((-5, -5, 110, 220), (0, 0, 100, 200)),  # reason: beyond every side
        ((100, 0, 120, 50), None),  # reason: begins where the image ends
        ((-20, 0, 0, 50), None),  # reason: ends where the image begins
    ],
)
def test_boxes_are_clipped_to_the_image(
    box: tuple[float, float, float, float], clipped: tuple[float, float, float, float] | None
) -> None:
    assert clip_box(box, 100, 200) == clipped
