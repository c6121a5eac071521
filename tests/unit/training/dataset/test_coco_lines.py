import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from pasarela_training.dataset.coco_entries import header
from pasarela_training.dataset.coco_lines import DocumentWriter, read_header, read_images
from pasarela_training.dataset.records import Category
from pasarela_training.errors import TrainingError

HEADER = header("train", [Category(1, "hat")])
IMAGES = [{"id": 7}, {"id": 3}, {"id": 5}]
ANNOTATIONS = [{"id": 1, "image_id": 7}, {"id": 2, "image_id": 7}, {"id": 3, "image_id": 5}]
GROUPED = [(IMAGES[0], ANNOTATIONS[:2]), (IMAGES[1], []), (IMAGES[2], ANNOTATIONS[2:])]


def write(path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> None:
    with DocumentWriter(path, HEADER) as writer:
        for image in images:
            writer.add([orjson.dumps(image)], [])
        writer.add([], [orjson.dumps({"image_id": one["image_id"]})[1:] for one in annotations])


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        (IMAGES, ANNOTATIONS),  # reason: several, one without any
        (IMAGES, []),  # reason: nothing but backgrounds
        ([], []),  # reason: nothing at all is still a document
    ],
)
def test_it_is_plain_json(tmp_path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> None:
    path = tmp_path / "train.json"
    write(path, images, annotations)
    assert json.loads(path.read_text()) == HEADER | {"images": images, "annotations": annotations}
    assert [path.name for path in tmp_path.iterdir()] == ["train.json"]
    assert read_header(path) == HEADER
    assert [image for image, _ in read_images(path)] == images


@pytest.mark.parametrize("lined", [True, False])
def test_images_come_with_their_annotations(tmp_path: Path, lined: bool) -> None:
    path = tmp_path / "train.json"
    if lined:
        write(path, IMAGES, ANNOTATIONS)
    else:  # as other writers lay it out
        path.write_text(json.dumps(HEADER | {"images": IMAGES, "annotations": ANNOTATIONS}))
    assert list(read_images(path)) == GROUPED
    assert read_header(path) == HEADER


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with DocumentWriter(tmp_path / "train.json", HEADER) as writer:
            writer.add([b"{}"], [])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("images", "annotations", "part"),
    [
        (IMAGES, [ANNOTATIONS[2], ANNOTATIONS[0]], "out of order"),  # reason: not in the order of the images
        (IMAGES[1:], ANNOTATIONS, "image 7, which is missing"),  # reason: of no image
    ],
)
def test_annotations_that_belong_to_no_image_are_an_error(
    tmp_path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]], part: str
) -> None:
    write(tmp_path / "train.json", images, annotations)
    with pytest.raises(TrainingError, match=part):
        list(read_images(tmp_path / "train.json"))


@pytest.mark.parametrize("lost", [0.02, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
def test_a_document_cut_short_is_an_error(tmp_path: Path, lost: float) -> None:
    path = tmp_path / "train.json"
    write(path, IMAGES, ANNOTATIONS)
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * (1 - lost))])
    with pytest.raises(TrainingError, match="cannot be read as a COCO document"):
        list(read_images(path))
    if lost >= 0.6:  # within the header
        with pytest.raises(TrainingError, match="cannot be read as a COCO document"):
            read_header(path)


def test_a_document_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(TrainingError, match="'annotations' is missing"):
        list(read_images(tmp_path / "train.json"))
