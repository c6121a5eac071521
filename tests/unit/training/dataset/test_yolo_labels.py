import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pasarela_training.config import ConvertSection
from pasarela_training.dataset.coco_entries import header
from pasarela_training.dataset.content import content_digest, read_contents
from pasarela_training.dataset.records import Category
from pasarela_training.dataset.yolo import make_yolo
from pasarela_training.dataset.yolo_labels import label_line, parse_label_line, polygon_line
from pasarela_training.dataset.yolo_names import FileNames
from pasarela_training.dataset.yolo_reader import yolo_to_coco
from pasarela_training.errors import TrainingError
from pasarela_training.fingerprint import file_sha256

CATEGORIES = (Category(3, "hat"), Category(40, "shoe"), Category(41, "coat"))
SIZE = (100, 200)
BOX = [10, 20, 30, 60]


def item(category: int, box: list[float], **more: Any) -> dict[str, Any]:
    return {"category_id": category, "bbox": box, "area": 1, "segmentation": [], "iscrowd": 0} | more


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Converts documents whose train split holds the images given; returns the folder, moved after it was made."""

    def run(train: dict[str, list[dict[str, Any]]], sums: dict[str, str] | None = None, **choices: Any) -> Path:
        coco = tmp_path / "coco"
        coco.mkdir()
        splits: dict[str, dict[str, list[dict[str, Any]]]] = {
            "train": train,
            "val": {"v.jpg": []},
            "test": {"t.jpg": []},
        }
        for split, content in splits.items():
            images, annotations = [], []
            for number, (name, items) in enumerate(content.items(), start=1):
                path = tmp_path / "data" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", SIZE).save(path)
                images.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
                annotations += [{"image_id": number, "id": 0} | one for one in items]
            document = header(split, CATEGORIES) | {"images": images, "annotations": annotations}
            (coco / f"{split}.json").write_text(json.dumps(document))
        output = tmp_path / "yolo"
        output.mkdir()
        make_yolo(tmp_path / "data", coco, sums or {}, ConvertSection(**choices), processes=1, output=output)
        return output.rename(tmp_path / "moved")

    return run


def test_a_box_computed_by_hand() -> None:
    # centre (10 + 15, 20 + 30) / (100, 200), size (30, 60) / (100, 200)
    assert label_line(8, BOX, *SIZE) == "8 0.250000 0.250000 0.300000 0.300000"


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, tuple[float, float, float, float]]:
    width, height = draw(st.integers(1, 10_000)), draw(st.integers(1, 10_000))
    left, top = draw(st.floats(0, width - 0.5)), draw(st.floats(0, height - 0.5))
    return width, height, (left, top, draw(st.floats(0.25, width - left)), draw(st.floats(0.25, height - top)))


@given(boxes(), st.integers(0, 999))
def test_a_box_comes_back_within_half_a_pixel(
    case: tuple[int, int, tuple[float, float, float, float]], class_id: int
) -> None:
    width, height, box = case
    known, back = parse_label_line(label_line(class_id, box, width, height), width, height)
    assert known == class_id
    corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    assert (back[0], back[1], back[0] + back[2], back[1] + back[3]) == pytest.approx(corners, abs=0.5)


def test_a_document_comes_back(make: Callable[..., Path]) -> None:
    items = {"train/a.jpg": [item(41, [0.3, 0.7, 99.7, 199.3]), item(3, BOX)], "train/b.jpg": [item(40, [5, 5, 1, 1])]}
    back = yolo_to_coco(make(items), "train", CATEGORIES)
    assert [image["file_name"] for image in back["images"]] == ["train_a.jpg", "train_b.jpg"]
    expected = [(number, one) for number, of_image in enumerate(items.values(), start=1) for one in of_image]
    for (number, before), after in zip(expected, back["annotations"], strict=True):
        assert (after["image_id"], after["category_id"]) == (number, before["category_id"])
        assert after["bbox"] == pytest.approx(before["bbox"], abs=0.5)


def test_the_folder_is_what_ultralytics_reads(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make({"train/image/000001.jpg": [item(40, BOX), item(3, BOX)], "validation/image/000001.jpg": []})
    settings = yaml.safe_load((folder / "data.yaml").read_text())
    assert "path" not in settings  # Ultralytics then looks beside the file, wherever the folder is moved
    assert settings["names"] == {0: "hat", 1: "shoe", 2: "coat"}  # positions among the ids 3, 40, 41
    images = folder / settings["train"]
    assert sorted(path.name for path in images.iterdir()) == ["train_000001.jpg", "validation_000001.jpg"]
    assert (images / "train_000001.jpg").samefile(tmp_path / "data" / "train" / "image" / "000001.jpg")
    labels = folder / "labels" / "train"
    assert [line.split()[0] for line in (labels / "train_000001.txt").read_text().splitlines()] == ["1", "0"]
    assert (labels / "validation_000001.txt").read_text() == ""
    assert not (folder / "segment").exists()


def test_crowds_are_left_out(make: Callable[..., Path]) -> None:
    crowd = item(3, BOX, iscrowd=1, segmentation={"size": [200, 100], "counts": [20000]})
    folder = make({"a.jpg": [crowd, item(40, BOX)]}, segmentation=True)
    for labels in (folder / "labels", folder / "segment" / "labels"):
        assert [line.split()[0] for line in (labels / "train" / "a.txt").read_text().splitlines()] == ["1"]


def test_outlines(make: Callable[..., Path]) -> None:
    triangle, inner = [0, 0, 50, 0, 0, 100], [0, 150, 50, 150, 0, 200]
    folder = make(
        {"a.jpg": [item(3, BOX, segmentation=[triangle]), item(3, BOX), item(3, BOX, segmentation=[triangle, inner])]},
        segmentation=True,
    )
    segment = folder / "segment"
    assert (segment / "data.yaml").read_text() == (folder / "data.yaml").read_text()
    assert (segment / "images" / "train" / "a.jpg").samefile(folder / "images" / "train" / "a.jpg")
    first, second, third = (segment / "labels" / "train" / "a.txt").read_text().splitlines()
    assert first == "0 0.000000 0.000000 0.500000 0.000000 0.000000 0.500000"
    # without an outline, the corners of the box
    assert second == "0 0.100000 0.100000 0.400000 0.100000 0.400000 0.400000 0.100000 0.400000"
    assert len(third.split()) == 1 + 2 * (3 + 3 + 2)  # the bridge's ends twice


def test_corners_outside_the_image_are_moved_to_its_edge() -> None:
    assert polygon_line(1, np.array([[-1.0, 0], [101, 0], [50, 201]]), *SIZE) == (
        "1 0.000000 0.000000 1.000000 0.000000 0.500000 1.000000"
    )


def test_known_sums_are_taken_and_the_others_computed(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make({"a.jpg": [item(3, BOX)], "b.jpg": []}, sums={"a.jpg": "0" * 64})
    text = label_line(0, BOX, *SIZE) + "\n"
    expected = [("a.jpg", "0" * 64, text), ("b.jpg", file_sha256(tmp_path / "data" / "b.jpg"), "")]
    assert read_contents(folder)["train"] == content_digest(expected)


@pytest.mark.parametrize(
    ("file_names", "names"),
    [
        (["train/image/000001.jpg"], ["train_000001"]),  # reason: DeepFashion2
        (["images/val/x.png"], ["val_x"]),  # reason: YOLO
        (["img/Red_Dress/img_01.jpg"], ["Red_Dress_img_01"]),  # reason: DeepFashion
        (["x.jpg", "y.jpg"], ["x", "y"]),  # reason: no folder
        (["x.jpg", "x.png"], ["x", "x-3910c650"]),  # reason: they would share their labels
        (["a/b_c.jpg", "a_b/c.jpg"], ["a_b_c", "a_b_c-3c9773ec"]),  # reason: the same once joined
        (["../x.jpg", "/x.jpg"], [".._x", "x"]),  # reason: nothing leads out of the folder
    ],
)
def test_names(file_names: list[str], names: list[str]) -> None:
    given = FileNames()
    assert [given.name(file_name) for file_name in file_names] == names


@given(st.lists(st.text(alphabet="ab_/.", min_size=1).filter(lambda text: text.strip("/.")), unique=True))
def test_no_two_images_get_the_same_name(file_names: list[str]) -> None:
    given = FileNames()
    names = [given.name(file_name) for file_name in file_names]
    assert len(set(names)) == len(names)
    assert not any("/" in name for name in names)


def test_an_image_that_is_gone_is_an_error(make: Callable[..., Path], tmp_path: Path) -> None:
    make({"a.jpg": []})
    (tmp_path / "data" / "a.jpg").unlink()
    (tmp_path / "again").mkdir()
    with pytest.raises(TrainingError, match=r"a\.jpg is gone"):
        make_yolo(tmp_path / "data", tmp_path / "coco", {}, ConvertSection(), processes=1, output=tmp_path / "again")


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5 0.1",  # reason: a number is missing
        "x 0.5 0.5 0.1 0.1",  # reason: no class
        "7 0.5 0.5 0.1 0.1",  # reason: no such class
    ],
)
def test_a_label_that_cannot_be_read_names_its_line(make: Callable[..., Path], line: str) -> None:
    folder = make({"a.jpg": [item(3, BOX)]})
    labels = folder / "labels" / "train" / "a.txt"
    labels.write_text(labels.read_text() + line + "\n")
    with pytest.raises(TrainingError, match=r"a\.txt, line 2"):
        yolo_to_coco(folder, "train", CATEGORIES)
