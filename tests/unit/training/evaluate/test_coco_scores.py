import json
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.scores import Result, coco_scores, judge


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Two images with two boxes each, of two of three categories."""
    boxes = [[10, 10, 40, 60], [100, 20, 50, 50]]
    annotations = [
        {"id": 2 * image + n + 1, "image_id": image, "category_id": n + 1, "bbox": box, "area": 2400, "iscrowd": 0}
        for image in (1, 2)
        for n, box in enumerate(boxes)
    ]
    content = {
        "images": [{"id": image, "width": 200, "height": 100, "file_name": f"{image}.jpg"} for image in (1, 2)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(("vest", "sling", "skirt"), start=1)],
        "annotations": annotations,
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return path


def perfect(document: Path) -> list[Result]:
    annotations: list[dict[str, Any]] = json.loads(document.read_text())["annotations"]
    return [{key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9} for one in annotations]


def test_perfect_predictions_score_one(document: Path) -> None:
    scores = coco_scores(document, perfect(document))
    assert (scores.map50_95, scores.map50, scores.map75) == pytest.approx((1, 1, 1))
    assert scores.classes == pytest.approx({"vest": 1, "sling": 1})  # no skirt occurs, so none is counted


def test_finding_half_of_the_classes_scores_a_half(document: Path) -> None:
    scores = coco_scores(document, [one for one in perfect(document) if one["category_id"] == 1])
    assert scores.map50 == pytest.approx(0.5)
    assert scores.classes == pytest.approx({"vest": 1, "sling": 0})


def test_boxes_that_are_a_little_off_score_at_fifty_and_not_at_ninety_five(document: Path) -> None:
    # A box shifted by a tenth of its width overlaps by 0.9 / 1.1 = 0.82: it counts at .50 to .80, 7 of 10 thresholds.
    shifted = [one | {"bbox": [one["bbox"][0] + one["bbox"][2] / 10, *one["bbox"][1:]]} for one in perfect(document)]
    scores = coco_scores(document, shifted)
    assert (scores.map50, scores.map75) == pytest.approx((1, 1))
    assert scores.map50_95 == pytest.approx(0.7)


def test_the_wrong_class_scores_nothing(document: Path) -> None:
    scores = coco_scores(document, [one | {"category_id": 3} for one in perfect(document)])
    assert scores.map50 == 0


def test_no_predictions_score_nothing(document: Path) -> None:
    scores = coco_scores(document, [])
    assert (scores.map50, scores.map50_95, scores.classes) == (0, 0, {"vest": 0, "sling": 0})


def test_only_the_best_so_many_of_an_image_count(document: Path) -> None:
    noise = [one | {"bbox": [0, 0, 1, 1], "score": 0.99} for one in perfect(document) for _ in range(3)]
    assert coco_scores(document, noise + perfect(document), max_detections=3).map50 == 0


def test_nothing_to_compare_with_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"images": [], "categories": [], "annotations": []}))
    with pytest.raises(TrainingError, match="no boxes"):
        coco_scores(path, [])


@pytest.mark.parametrize(
    ("area", "crowd", "sizes"),
    [
        (100, 0, {"small": 1, "medium": None, "large": None}),  # reason: below 32²
        (2400, 0, {"small": None, "medium": 1, "large": None}),  # reason: between
        (9999, 0, {"small": None, "medium": None, "large": 1}),  # reason: above 96²
        (1024, 0, {"small": 1, "medium": 1, "large": None}),  # reason: pycocotools counts the limit on both sides
    ],
)
def test_a_size_that_does_not_occur_has_no_figure(
    document: Path, area: int, crowd: int, sizes: dict[str, float | None]
) -> None:
    _change(document, area=area, iscrowd=crowd)
    assert coco_scores(document, perfect(document)).sizes == pytest.approx(sizes)
    nothing = {size: None if figure is None else 0.0 for size, figure in sizes.items()}
    assert coco_scores(document, []).sizes == nothing


def test_each_class_has_its_figure_at_fifty_and_its_curve(document: Path) -> None:
    # Shifted by a third of the width, boxes overlap by (2/3) / (4/3) = 0.5 at least, and by less than 0.55.
    vests = [one for one in perfect(document) if one["category_id"] == 1]
    shifted = [one | {"bbox": [one["bbox"][0] + 13, *one["bbox"][1:]]} for one in vests]
    judged = judge(document, shifted)
    assert judged.scores.classes50 == pytest.approx({"vest": 1, "sling": 0})
    assert judged.scores.classes == pytest.approx({"vest": 0.1, "sling": 0})
    assert judged.curves.keys() == {"vest", "sling"}
    for name, curve in judged.curves.items():
        assert curve.shape == (101,)
        assert ((curve >= 0) & (curve <= 1)).all()
        assert curve.mean() == pytest.approx(judged.scores.classes50[name])


def test_nothing_found_has_curves_of_zeros(document: Path) -> None:
    judged = judge(document, [])
    assert {name: curve.tolist() for name, curve in judged.curves.items()} == dict.fromkeys(
        ("vest", "sling"), [0.0] * 101
    )


def test_a_class_of_crowds_alone_has_no_figure(document: Path) -> None:
    content = json.loads(document.read_text())
    for annotation in content["annotations"]:
        annotation["iscrowd"] = int(annotation["category_id"] == 2)
    document.write_text(json.dumps(content))
    vests = [one for one in perfect(document) if one["category_id"] == 1]
    for results in (vests, []):
        assert coco_scores(document, results).classes.keys() == {"vest"}


def test_crowds_alone_are_nothing_to_compare_with(document: Path) -> None:
    _change(document, iscrowd=1)
    with pytest.raises(TrainingError, match="no boxes"):
        coco_scores(document, perfect(document))


def _change(document: Path, **changes: Any) -> None:
    content = json.loads(document.read_text())
    content["annotations"] = [annotation | changes for annotation in content["annotations"]]
    document.write_text(json.dumps(content))


def test_detections_stay_as_they_are(document: Path) -> None:
    results = perfect(document)
    judge(document, results)
    assert results == perfect(document)
