import json
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.scores import Result, coco_scores


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
