"""A backend that answers with the true boxes must score 1 through the server's letterbox and suppression."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.detection.detections import Detections
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.tensor import Array, DataType, TensorSpec
from pasarela_training.config import EvaluateSection
from pasarela_training.dataset.coco_entries import header
from pasarela_training.dataset.sources.deepfashion2 import CATEGORIES as GARMENTS
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.measure import as_results, run_variant
from pasarela_training.evaluate.scores import coco_scores
from pasarela_training.synthesize.categories import CATEGORIES

SIDE, ANCHORS = 64, 84
TRUTH = [(9, (10.0, 20.0, 40.0, 80.0)), (7, (50.0, 100.0, 95.0, 190.0))]
"""Category, and left, top, right, bottom in pixels of a 100 by 200 image."""


class OracleSession:
    """Answers every image with the boxes of TRUTH, in pixels of the network's input."""

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        assert inputs["images"].shape == (1, 3, SIDE, SIDE)
        letterbox = Letterbox.fit((200, 100), (SIDE, SIDE))
        vertical, horizontal = letterbox.scale
        output = np.zeros((1, 4 + len(CATEGORIES), ANCHORS), np.float32)
        for anchor, (category, (left, top, right, bottom)) in enumerate(TRUTH):
            output[0, :4, anchor] = (
                (left + right) / 2 * horizontal + letterbox.left,
                (top + bottom) / 2 * vertical + letterbox.top,
                (right - left) * horizontal,
                (bottom - top) * vertical,
            )
            output[0, 4 + category - 1, anchor] = 0.9
        return {"output0": output}


class OracleBackend:
    description = "an oracle"

    def __init__(self, names: Mapping[int, str] | None = None, task: str = "detect") -> None:
        known = names or {category.id - 1: category.name for category in CATEGORIES}
        self.spec = ArtefactSpec(
            inputs=(TensorSpec("images", DataType.FP32, (-1, 3, SIDE, SIDE)),),
            outputs=(TensorSpec("output0", DataType.FP32, (-1, 4 + len(known), ANCHORS)),),
            batched=True,
            metadata={"task": task, "names": dict(known), "stride": 32, "imgsz": [SIDE, SIDE]},
        )

    def session(self) -> OracleSession:
        return OracleSession()

    def close(self) -> None:
        return


@pytest.fixture
def truth(dataset: Path, add_image: Callable[..., None], tmp_path: Path) -> Path:
    add_image("000001", text="{}")
    image = {"id": 1, "file_name": "train/image/000001.jpg", "width": 100, "height": 200}
    annotations = [
        {"id": n, "image_id": 1, "category_id": category, "iscrowd": 0}
        | {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
        for n, (category, (left, top, right, bottom)) in enumerate(TRUTH, start=1)
    ]
    path = tmp_path / "test.json"
    path.write_text(json.dumps(header("test", GARMENTS) | {"images": [image], "annotations": annotations}))
    return path


def test_an_oracle_scores_one(dataset: Path, truth: Path) -> None:
    run = run_variant(OracleBackend(), dataset, truth, EvaluateSection(), "evaluate")
    scores = coco_scores(truth, run.results)
    assert scores.map50_95 == pytest.approx(1)
    assert scores.classes == pytest.approx({"shorts": 1, "skirt": 1})


@pytest.mark.parametrize(
    ("backend", "part"),
    [
        (OracleBackend(task="classify"), "no detector"),  # reason: another task
        (OracleBackend(names={0: "hat"}), "hat"),  # reason: classes that the dataset does not know
    ],
)
def test_what_cannot_be_measured_is_refused(dataset: Path, truth: Path, backend: OracleBackend, part: str) -> None:
    with pytest.raises(TrainingError, match=part):
        run_variant(backend, dataset, truth, EvaluateSection(), "evaluate")


def test_a_broken_image_is_named(dataset: Path, truth: Path) -> None:
    (dataset / "train" / "image" / "000001.jpg").write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"000001\.jpg cannot be measured"):
        run_variant(OracleBackend(), dataset, truth, EvaluateSection(), "evaluate")


def test_detections_become_boxes_with_width_and_height() -> None:
    detections = Detections(
        np.array([[1, 2, 11, 22]], np.float32), np.array([0.5], np.float32), np.array([1], np.int32)
    )
    expected: list[dict[str, Any]] = [{"image_id": 4, "category_id": 9, "bbox": [1, 2, 10, 20], "score": 0.5}]
    assert as_results(4, detections, [8, 9]) == expected
