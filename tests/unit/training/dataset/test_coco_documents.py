import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.dataset.records import Annotation, Fault
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.errors import TrainingError

CATEGORIES = [{"id": 3, "name": "coat", "supercategory": "clothes"}, {"id": 1, "name": "hat"}]
BOX = {"category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}


def image(number: Any, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 20, "height": 30} | more


def lay(root: Path, place: str, images: list[Any], annotations: list[Any], *, folder: str, **more: Any) -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for one in images:
        if "file_name" in one:
            (root / folder / one["file_name"]).touch()
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES} | more
    (root / place).write_text(json.dumps(content))
    return root


def read(root: Path) -> tuple[list[Annotation], list[Fault], dict[str, int]]:
    source = open_source(root)
    entries, faults = source.entries(("train",))
    sent = pickle.loads(pickle.dumps(source))
    annotations = []
    for entry in entries:
        annotation, found = sent.read(entry)
        annotations.append(annotation)
        faults += found
    return annotations, faults, dict(source.mended)


@pytest.mark.parametrize(
    ("place", "folder", "file_name"),
    [
        ("annotations/instances_train2017.json", "train2017", "train2017/a.jpg"),  # reason: as COCO is handed out
        ("train/_annotations.coco.json", "train", "train/a.jpg"),  # reason: beside the images
        ("train.json", "images", "images/a.jpg"),  # reason: above a folder of images
        ("annotations/train.json", "images/train", "images/train/a.jpg"),  # reason: folders by split
        ("labels.json", "data", "data/a.jpg"),  # reason: no split is named: train
    ],
)
def test_documents_and_images_are_found(tmp_path: Path, place: str, folder: str, file_name: str) -> None:
    lay(tmp_path, place, [image(7, "a.jpg")], [BOX | {"id": 5, "image_id": 7}], folder=folder)
    (annotation,), faults, mended = read(tmp_path)
    assert (faults, mended) == ([], {})
    assert (str(annotation.key), annotation.image_id, annotation.file_name) == ("train/a.jpg", 7, file_name)
    (item,) = annotation.items
    assert (item.number, item.category_id, item.box, item.area) == (1, 1, (1, 2, 4, 6), 12)


def test_the_dialect_of_deepfashion2_is_mended_and_counted(tmp_path: Path) -> None:
    dirty = {
        "id": "000001",
        "image_id": "000007",
        "category_id": "3",
        "bbox": [1, 2, 3, 4],
        "is_crowd": [0],
        "landmarks": [1, 2, 2],
        "segmentation": [[1, 2, 4, 2, 4, 6]],
    }
    lay(tmp_path, "train.json", [image("000007", "a.jpg")], [dirty], folder="images")
    (annotation,), faults, mended = read(tmp_path)
    assert faults == []
    assert annotation.image_id == 7
    (item,) = annotation.items
    assert (item.category_id, item.landmarks, item.area, item.crowd) == (3, [1, 2, 2], None, None)
    assert mended == {
        "areas missing": 1,
        "crowd flags in lists": 1,
        "ids of annotations written as text": 1,
        "ids of categories in annotations written as text": 1,
        "ids of images in annotations written as text": 1,
        "ids of images written as text": 1,
        "is_crowd instead of iscrowd": 1,
        "landmarks instead of keypoints": 1,
    }


def test_images_that_share_an_id_between_documents_are_renumbered(tmp_path: Path) -> None:
    lay(tmp_path, "train.json", [image(1, "b.jpg"), image(2, "c.jpg")], [], folder="images")
    lay(tmp_path, "val.json", [image(1, "a.jpg")], [], folder="images")
    source = open_source(tmp_path)
    entries, _ = source.entries(("validation", "train"))
    assert [(str(entry.key), entry.image_id) for entry in entries] == [
        ("train/b.jpg", 1),
        ("train/c.jpg", 2),
        ("validation/a.jpg", 3),
    ]
    assert source.mended == {"images renumbered": 3}


def test_an_image_with_nothing_on_it_is_no_fault(tmp_path: Path) -> None:
    lay(tmp_path, "train.json", [image(1, "a.jpg")], [], folder="images")
    (annotation,), faults, _ = read(tmp_path)
    assert (annotation.items, faults) == ((), [])


def test_crowds_keep_their_encoding(tmp_path: Path) -> None:
    mask = {"counts": [0, 4, 596], "size": [30, 20]}
    crowd = BOX | {"id": 5, "image_id": 7, "iscrowd": 1, "segmentation": mask}
    lay(tmp_path, "train.json", [image(7, "a.jpg")], [crowd], folder="images")
    (annotation,), _, _ = read(tmp_path)
    assert annotation.items[0].crowd == mask


@pytest.mark.parametrize(
    ("changes", "kind", "action"),
    [
        ({"image_id": 9}, "missing image", "dropped"),  # reason: no such image
        ({"category_id": 2}, "unknown category", "dropped"),  # reason: no such category
        ({"category_id": None}, "bad value", "dropped"),  # reason: null
        ({"id": 1, "bbox": [1, 2, 3, 5]}, "duplicate", "kept"),  # reason: one id, another box
        ({"id": 1}, "duplicate", "dropped"),  # reason: the same once more
        ({"bbox": [1, 2, 0, 4]}, "no area", "dropped"),  # reason: no width
        ({"bbox": [1, 2, 3]}, "bad value", "dropped"),  # reason: three numbers
        ({"bbox": None}, "bad value", "dropped"),  # reason: null
        ({"segmentation": "x"}, "bad value", "kept"),  # reason: the box is still good
        ({"segmentation": {"counts": "x", "size": [1, 1]}}, "bad value", "kept"),  # reason: a mask is no polygon
        ({"area": -1}, "bad value", "kept"),  # reason: the box's counts
    ],
)
def test_faults_of_annotations(tmp_path: Path, changes: dict[str, Any], kind: str, action: str) -> None:
    good = BOX | {"id": 1, "image_id": 7}
    lay(tmp_path, "train.json", [image(7, "a.jpg")], [good, good | {"id": 2} | changes], folder="images")
    (annotation,), (fault,), _ = read(tmp_path)
    assert (fault.kind, fault.action) == (kind, action)
    assert len(annotation.items) == (1 if action == "dropped" else 2)


@pytest.mark.parametrize(
    ("second", "kind", "action"),
    [
        (image(7, "b.jpg"), "duplicate", "dropped"),  # reason: the id is taken
        (image(8, "a.jpg"), "duplicate", "dropped"),  # reason: the file is taken
        (image(8, "b.jpg", width=None), "bad value", "kept"),  # reason: the header tells
        ({"id": 8, "file_name": "b.jpg", "height": 3}, "missing key", "kept"),  # reason: the header tells
        ({"id": 8}, "missing key", "dropped"),  # reason: which file?
        (image(None, "b.jpg"), "bad value", "dropped"),  # reason: null
    ],
)
def test_faults_of_images(tmp_path: Path, second: dict[str, Any], kind: str, action: str) -> None:
    lay(tmp_path, "train.json", [image(7, "a.jpg"), second], [], folder="images")
    annotations, (fault,), _ = read(tmp_path)
    assert (fault.kind, fault.action) == (kind, action)
    assert len(annotations) == (1 if action == "dropped" else 2)


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", "x/../../a.jpg", "..\\a.jpg", ""])
def test_names_do_not_lead_out_of_the_dataset(tmp_path: Path, name: str) -> None:
    lay(tmp_path, "train.json", [image(7, "a.jpg")], [], folder="images")
    content = json.loads((tmp_path / "train.json").read_text())
    content["images"].append(image(8, name))
    (tmp_path / "train.json").write_text(json.dumps(content))
    annotations, (fault,), _ = read(tmp_path)
    assert (len(annotations), fault.kind) == (1, "bad value")


def test_two_documents_of_one_split_are_refused(tmp_path: Path) -> None:
    lay(tmp_path, "train.json", [], [], folder="images")
    lay(tmp_path, "train_old.json", [], [], folder="images")
    with pytest.raises(TrainingError, match=r"train.json and train_old.json could both be"):
        open_source(tmp_path)


def test_images_that_lie_nowhere_are_refused(tmp_path: Path) -> None:
    lay(tmp_path, "train.json", [image(7, "a.jpg")], [], folder="images")
    (tmp_path / "images" / "a.jpg").unlink()
    with pytest.raises(TrainingError, match=r"a\.jpg, which lie nowhere below"):
        open_source(tmp_path)
