"""COCO's two forms, read by pycocotools."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pasarela_client import FrameError, InvalidRequest, QueueFull
from pasarela_client.detections import FrameResult
from pasarela_client.exports import open_export
from tests.unit.client.made_results import NAMES, make_found, results

FAILED = FrameError(1, QueueFull("too much"), origin="photos/bad.jpg")


def export(path: Path, found: list[FrameResult], **options: Any) -> Path:
    with open_export(path, **options) as writer:
        for result in found:
            writer.add(result)
    return path


def test_pycocotools_opens_the_dataset(tmp_path: Path) -> None:
    first = make_found(origin="photos/1.jpg", frame_index=0)
    nothing = make_found([], origin="other/1.jpg", frame_index=2, image_size=(10, 20))
    coco = COCO(export(tmp_path / "found.json", [first, FAILED, nothing]))
    assert [(image["id"], image["file_name"]) for image in coco.dataset["images"]] == [
        (1, "photos/1.jpg"),
        (2, "other/1.jpg"),
    ]
    assert coco.imgs[2]["width"] == 10
    assert coco.imgs[2]["height"] == 20
    assert {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())} == {
        0: "skirt",
        1: "trousers",
    }
    assert coco.getAnnIds(imgIds=[1], catIds=[1]) == [2]
    assert coco.getAnnIds(imgIds=[2]) == []
    annotation = coco.anns[1]
    assert annotation["bbox"] == [10, 20, 100, 200]
    assert (annotation["area"], annotation["iscrowd"], annotation["score"]) == (20_000, 0, 0.9)
    assert coco.dataset["info"]["description"] == "Detections by garments/3"
    coco.info()


@settings(max_examples=25)
@given(st.lists(results(most=3), max_size=4))
def test_boxes_of_the_dataset_are_the_boxes_found(tmp_path_factory: pytest.TempPathFactory, found: list[Any]) -> None:
    coco = COCO(export(tmp_path_factory.mktemp("coco") / "found.json", found))
    assert sorted(coco.imgs) == list(range(1, len(found) + 1))
    for image_id, result in enumerate(found, start=1):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        boxes = np.array([one["bbox"] for one in annotations]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        np.testing.assert_allclose(boxes, result.boxes, rtol=1e-5, atol=1e-3)
        assert [coco.cats[one["category_id"]]["name"] for one in annotations] == result.names.tolist()
    assert sorted(coco.anns) == list(range(1, sum(map(len, found)) + 1))


def test_frames_of_a_video_have_names_and_times_of_their_own(tmp_path: Path) -> None:
    frames: list[FrameResult] = [
        make_found([], origin="clips/a.mp4", frame_index=index, timestamp_s=index / 25) for index in (0, 12)
    ]
    unknown: list[FrameResult] = [make_found([], frame_index=3), make_found([])]
    images = COCO(export(tmp_path / "found.json", frames + unknown)).dataset["images"]
    assert [image["file_name"] for image in images] == [
        "clips/a.mp4#000000", "clips/a.mp4#000012", "frame_000003", "image_000003",
    ]  # fmt: skip
    assert (images[1]["frame_index"], images[1]["timestamp_s"]) == (12, 0.48)


def test_an_image_without_origin_is_called_by_its_path(tmp_path: Path) -> None:
    images = COCO(export(tmp_path / "found.json", [make_found([], image=Path("a/b.jpg"))])).dataset["images"]
    assert images[0]["file_name"] == "a/b.jpg"


def test_all_classes_of_the_model_become_categories(tmp_path: Path) -> None:
    coco = COCO(export(tmp_path / "found.json", [make_found()], names=[*NAMES, "hat"]))
    assert [category["name"] for category in coco.dataset["categories"]] == [*NAMES, "hat"]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Three images and two categories with ids that nobody would guess, and the boxes that `make_found` finds."""
    boxes = [(42, 90, [10, 20, 100, 200]), (42, 5, [300.25, 100.5, 199.875, 299.5]), (7, 90, [10, 20, 100, 200])]
    content = {
        "images": [
            {"id": 42, "file_name": "a.jpg", "width": 640, "height": 480},
            {"id": 7, "file_name": "val/one/b.jpg", "width": 640, "height": 480},
            {"id": 8, "file_name": "val/two/b.jpg", "width": 640, "height": 480},
        ],
        "categories": [{"id": 90, "name": "skirt", "supercategory": "x"}, {"id": 5, "name": "trousers"}],
        "annotations": [
            {
                "id": index,
                "image_id": image,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for index, (image, category, box) in enumerate(boxes, start=1)
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return path


FOUND: list[FrameResult] = [make_found(origin="data/a.jpg"), make_found()[:1], FAILED]
FOUND[1] = replace(make_found()[:1], origin="one/b.jpg")


def test_results_are_evaluated_against_annotations(tmp_path: Path, truth: Path) -> None:
    path = export(tmp_path / "results.json", FOUND, format="coco-results", annotations=truth)
    coco = COCO(truth)
    evaluation = COCOeval(coco, coco.loadRes(str(path)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_annotations_may_name_images_by_whole_paths(tmp_path: Path, truth: Path) -> None:
    whole = json.loads(truth.read_text())
    whole["images"][0]["file_name"] = "/data/a.jpg"
    truth.write_text(json.dumps(whole))
    found: list[FrameResult] = [replace(make_found(), origin=origin) for origin in ("/data/a.jpg", "a.jpg")]
    path = export(tmp_path / "results.json", found, format="coco-results", annotations=truth)
    assert {entry["image_id"] for entry in json.loads(path.read_text())} == {42}


def test_a_dataset_with_the_ids_of_annotations(tmp_path: Path, truth: Path) -> None:
    found = COCO(export(tmp_path / "found.json", FOUND, annotations=truth))
    assert list(found.imgs) == [42, 7]
    assert found.dataset["categories"] == json.loads(truth.read_text())["categories"]
    assert [one["category_id"] for one in found.dataset["annotations"]] == [90, 5, 90]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (replace(FOUND[0], origin="c.jpg"), "c.jpg is not among the 3 images of .*instances.json"),
        (replace(FOUND[0], origin="other/b.jpg"), "other/b.jpg is not among"),
        (replace(FOUND[0], origin="b.jpg"), "b.jpg may be several images of .*: val/one/b.jpg, val/two/b.jpg"),
        (make_found([[0, 0, 1, 1]], origin="a.jpg", names=["hat"]), "'hat' is not among the categories"),
    ],
    ids=["unknown", "another folder", "ambiguous", "unknown class"],
)
@pytest.mark.parametrize("kind", ["coco", "coco-results"])
def test_what_the_annotations_lack_is_named_and_can_be_left_out(
    tmp_path: Path, truth: Path, result: FrameResult, message: str, kind: str
) -> None:
    with open_export(tmp_path / "found.json", kind, annotations=truth) as writer:  # type: ignore[arg-type]
        writer.add(FOUND[0])
        with pytest.raises(InvalidRequest, match=message):
            writer.add(result)
        writer.add(FOUND[1])
    content = json.loads((tmp_path / "found.json").read_text())
    entries = content["annotations"] if kind == "coco" else content
    assert [entry["image_id"] for entry in entries] == [42, 42, 7]
    if kind == "coco":
        assert [entry["id"] for entry in entries] == [1, 2, 3]
        assert len(content["images"]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the annotations .*: No such file"),
        ("[", "holds no COCO annotations"),
        ("[]", "holds no COCO annotations"),
        ('{"images": []}', "holds no COCO annotations .*'categories'"),
        ('{"images": [{"id": 1}], "categories": []}', "holds no COCO annotations .*'file_name'"),
    ],
    ids=["gone", "cut short", "results", "no categories", "no file name"],
)
def test_annotations_that_are_none_are_refused_before_anything_is_written(
    tmp_path: Path, content: str | None, message: str
) -> None:
    truth = tmp_path / "truth.json"
    if content is not None:
        truth.write_text(content)
    with pytest.raises(InvalidRequest, match=message):
        open_export(tmp_path / "found.json", annotations=truth)
    assert not (tmp_path / "found.json").exists()
    assert len(list(tmp_path.iterdir())) == (content is not None)


@pytest.mark.parametrize(
    ("kind", "empty"), [("coco-results", []), ("coco", {"annotations": [], "images": [], "categories": []})]
)
def test_no_results_are_valid_json_too(tmp_path: Path, kind: str, empty: Any) -> None:
    content = json.loads(export(tmp_path / "found.json", [FAILED], format=kind).read_text())
    assert content == empty if kind == "coco-results" else content.items() >= empty.items()


def test_names_that_are_no_text_are_the_same_when_python_reads_them(tmp_path: Path) -> None:
    found = make_found([], origin='größer "🧥"\udcff.jpg')
    path = export(tmp_path / "found.json", [found])
    assert json.loads(path.read_text("utf-8"))["images"][0]["file_name"] == found.origin
