"""Results in the forms of other libraries, read by these libraries."""

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import supervision as sv
from hypothesis import given
from PIL import Image
from pycocotools.coco import COCO

from pasarela_client import Detections, InvalidRequest, MissingExtra
from tests.unit.client.made_results import make_found, results


@given(results())
def test_boxes_of_coco_are_the_same_boxes(found: Detections) -> None:
    entries = found.to_coco(7)
    boxes = np.array([entry["bbox"] for entry in entries]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(boxes, found.boxes, rtol=1e-5, atol=1e-3)
    assert [entry["score"] for entry in entries] == pytest.approx(found.scores.tolist())
    assert [entry["category_id"] for entry in entries] == found.class_ids.tolist()
    assert {entry["image_id"] for entry in entries} <= {7}


def test_pycocotools_takes_the_results() -> None:
    truth = COCO()
    truth.dataset = {
        "images": [{"id": 42, "width": 640, "height": 480}],
        "categories": [{"id": 90, "name": "skirt"}, {"id": 5, "name": "trousers"}],
        "annotations": [],
    }
    truth.createIndex()
    loaded = truth.loadRes(make_found().to_coco(42, categories={"skirt": 90, "trousers": 5}))
    assert [one["category_id"] for one in loaded.loadAnns(loaded.getAnnIds(imgIds=[42]))] == [90, 5]
    assert loaded.anns[1]["bbox"] == [10, 20, 100, 200]
    assert loaded.anns[1]["area"] == 20_000


def test_a_class_that_the_categories_lack_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"'trousers' is not among the categories \(hat, skirt\)"):
        make_found().to_coco(1, categories={"skirt": 90, "hat": 1})


def test_a_table_of_pandas() -> None:
    found = make_found(origin="a.jpg", frame_index=3)
    table = found.to_pandas()
    assert list(table.columns) == [
        "origin", "frame_index", "timestamp_s", "name", "class_id", "score", "left", "top", "right", "bottom",
    ]  # fmt: skip
    assert table["name"].tolist() == ["skirt", "trousers"]
    assert (table[["left", "top", "right", "bottom"]].to_numpy() == found.boxes).all()
    assert table["score"].to_numpy().dtype == np.float32
    assert table["frame_index"].tolist() == [3, 3]
    assert table["timestamp_s"].isna().all()
    table.loc[0, "left"] = 0
    assert found.boxes[0, 0] == 10


def test_tables_of_several_results_fit_together() -> None:
    parts = [
        make_found(origin="a.jpg"),
        Detections.empty((4, 4)),
        make_found(origin="b.mp4", frame_index=1, timestamp_s=0.5),
    ]
    table = pd.concat([part.to_pandas() for part in parts])
    assert table.groupby("origin").size().to_dict() == {"a.jpg": 2, "b.mp4": 2}
    assert str(table["class_id"].dtype) == "int32"
    assert str(table["frame_index"].dtype) == "Int64"


def test_supervision_annotates_them() -> None:
    found = make_found([[10, 60, 110, 220], [300, 100, 500, 400]])
    detections = found.to_supervision()
    assert detections.xyxy.tolist() == found.boxes.tolist()
    assert detections.confidence is not None
    assert detections.confidence.tolist() == found.scores.tolist()
    assert detections.class_id is not None
    assert detections.class_id.tolist() == [0, 1]
    assert detections["class_name"].tolist() == ["skirt", "trousers"]
    scene = np.full((480, 640, 3), 128, np.uint8)
    boxed = sv.BoxAnnotator().annotate(scene.copy(), detections)
    assert (boxed[100, 10] != 128).any()
    labelled = sv.LabelAnnotator().annotate(scene.copy(), detections)
    assert (labelled != 128).any()


def test_supervision_can_do_with_them_as_it_likes() -> None:
    found = make_found()
    detections = found.to_supervision()
    detections.xyxy[0, 0] = 5
    assert len(sv.Detections.merge([detections, make_found(origin="b").to_supervision()])) == 4
    assert len(detections[detections.confidence > 0.6]) == 1
    assert found.boxes[0, 0] == 10


@given(results())
def test_any_result_goes_to_supervision(found: Detections) -> None:
    assert len(found.to_supervision()) == len(found)


@pytest.mark.parametrize(
    ("package", "use", "extra"),
    [
        ("pandas", lambda found: found.to_pandas(), "pandas"),
        ("supervision", lambda found: found.to_supervision(), "supervision"),
        ("PIL", lambda found: found.draw(np.zeros((480, 640, 3), np.uint8)), "media"),
        ("PIL", lambda found: found.crops(np.zeros((480, 640, 3), np.uint8)), "media"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, package: str, use: Any, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'pasarela-client\[{extra}\]'"):
        use(make_found())


def test_a_notebook_shows_picture_and_table() -> None:
    shown = make_found(image=np.zeros((480, 640, 3), np.uint8), origin="<a>.jpg")._repr_html_()
    assert "640x480: 1 skirt, 1 trousers" in shown
    assert "&lt;a&gt;.jpg" in shown
    assert "<td>trousers</td><td>0.50</td><td>300</td>" in shown
    assert 'src="data:image/jpeg;base64,' in shown


@pytest.mark.parametrize(
    "image", [None, "not/there.jpg", Image.new("RGB", (3, 3))], ids=["none", "gone", "of another size"]
)
def test_a_notebook_shows_the_table_when_there_is_no_picture(image: Any) -> None:
    shown = make_found([[0, 0, 1, 1]] * 30, image=image)._repr_html_()
    assert "<img" not in shown
    assert shown.count("<tr>") == 21
    assert "… 10 more" in shown


def test_a_notebook_names_no_columns_where_nothing_was_found() -> None:
    assert Detections.empty((4, 2))._repr_html_() == "<div><p>4x2: nothing found</p></div>"
