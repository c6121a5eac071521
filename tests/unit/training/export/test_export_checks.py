"""What the checks measure, what they record, and what they say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pasarela_server.detection.detections import Detections
from pasarela_training.config import PublishSection
from pasarela_training.errors import TrainingError
from pasarela_training.export.check import VariantCheck, batch_difference, read_checks, write_checks
from pasarela_training.export.compare import with_quantisation
from pasarela_training.export.int8 import Quantised
from pasarela_training.export.parity import match_detections
from pasarela_training.export.stage import summary
from pasarela_training.variants import variant_specs

GOOD = VariantCheck(True, [], "FP32", 0.0, 0.0, 0.01, 1e-5, 1.0, 1.0, 0.0)
BOX = [0.0, 0.0, 100.0, 100.0]


def found(*rows: tuple[list[float], float, int]) -> Detections:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float32)
    return Detections(boxes, scores, np.array([row[2] for row in rows], np.int32))


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (found(), found(), 1.0),  # reason: nothing to disagree about
        (found((BOX, 0.9, 1)), found((BOX, 0.8, 1)), 1.0),  # reason: the same
        (found((BOX, 0.9, 1)), found((BOX, 0.9, 2)), 0.0),  # reason: another class
        (found((BOX, 0.9, 1)), found(([0, 0, 100, 95], 0.9, 1)), 1.0),  # reason: IoU .95
        (found((BOX, 0.9, 1)), found(([0, 0, 100, 85], 0.9, 1)), 0.0),  # reason: IoU .85
        (found((BOX, 0.9, 1)), found(), 0.0),  # reason: missed
        (found(), found((BOX, 0.9, 1)), 0.0),  # reason: invented
        (found((BOX, 0.251, 1)), found((BOX, 0.249, 1)), 1.0),  # reason: only just across the threshold
        (found((BOX, 0.9, 1), ([200, 0, 300, 100], 0.9, 1)), found((BOX, 0.9, 1)), 2 / 3),  # reason: one of two missed
    ],
)
def test_matching_counts_both_ways(one: Detections, other: Detections, share: float) -> None:
    assert match_detections([(one, other)]).matched == pytest.approx(share)
    assert match_detections([(other, one)]).matched == pytest.approx(share)


def test_matching_tells_overlap_and_score() -> None:
    matching = match_detections([(found((BOX, 0.9, 1)), found(([0, 0, 100, 95], 0.8, 1)))])
    assert (matching.mean_iou, matching.score_difference) == pytest.approx((0.95, 0.1), abs=1e-6)


def test_scores_of_noise_anchors_count_between_batch_and_rows_only() -> None:
    one, other = np.zeros((1, 5, 2), np.float32), np.zeros((1, 5, 2), np.float32)
    other[0, 4, 0] = 0.04
    assert batch_difference(one, other).score == pytest.approx(0.04)
    assert batch_difference(one, other, confident_only=True).score == 0


def test_checks_survive_being_written(tmp_path: Path) -> None:
    int8 = replace(GOOD, head_box_px=None, head_score=None, reverted_layers=["a"], ignored_layers=["b"], map_drop=0.1)
    write_checks(tmp_path, {"onnx": GOOD, "int8": int8})
    assert read_checks(tmp_path) == {"onnx": GOOD, "int8": int8}


@pytest.mark.parametrize(
    "content",
    [
        None,  # reason: no export yet
        "{",  # reason: half a file
        '{"onnx": {"box_px": 1.0, "score": 0.1}}',  # reason: of an older pipeline
        "[]",  # reason: another file altogether
    ],
)
def test_checks_that_cannot_be_read_say_what_to_do(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "check.json").write_text(content)
    with pytest.raises(TrainingError, match="run the export stage again"):
        read_checks(tmp_path)


@pytest.mark.parametrize(
    ("drop", "passes"),
    [
        (-0.002, True),  # reason: quantisation may gain by chance
        (0.01, True),  # reason: exactly the budget
        (0.02, False),  # reason: too much
    ],
)
def test_int8_over_its_budget_is_recorded_as_failed(drop: float, passes: bool) -> None:
    checked = with_quantisation(GOOD, Quantised(drop, ["conv"], ["dfl"]), 0.01)
    assert (checked.passed, checked.reverted_layers, checked.map_drop) == (passes, ["conv"], drop)
    assert passes or "0.0200 below OpenVINO's (allowed 0.01) with 1 layers" in checked.reasons[0]


def test_the_summary_names_who_failed_and_why() -> None:
    bad = replace(GOOD, passed=False, reasons=["scores differ"])
    assert "NOT as PyTorch answers: int8 (scores differ)" in summary({"onnx": GOOD, "int8": bad}, 320)
    assert "NOT" not in summary({"onnx": GOOD}, 320)


def test_the_precision_of_openvino_is_not_that_of_int8() -> None:
    specs = variant_specs(PublishSection(openvino_precision="f32"))
    assert (specs["openvino"].parameters, specs["int8"].parameters) == ({"precision": "f32"}, {})
