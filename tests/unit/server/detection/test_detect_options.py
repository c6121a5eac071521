"""Impossible wishes are refused, by name and with what came."""

import math

import pytest

from pasarela_server.detection.options import DETECTIONS_CEILING, DetectOptions
from pasarela_server.errors import InvalidRequest


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        pytest.param({"confidence": -0.1}, "confidence must lie between 0 and 1, got -0.1", id="below 0"),
        pytest.param({"confidence": 1.1}, "got 1.1", id="above 1"),
        pytest.param({"confidence": math.nan}, "got nan", id="no number"),
        pytest.param({"iou": 1.5}, "iou must lie between 0 and 1, got 1.5", id="overlap above 1"),
        pytest.param({"iou": math.inf}, "got inf", id="infinite overlap"),
        pytest.param({"max_detections": 0}, "max_detections must lie between 1 and", id="no detections wanted"),
        pytest.param({"max_detections": DETECTIONS_CEILING + 1}, f"got {DETECTIONS_CEILING + 1}", id="too many"),
        pytest.param({"class_ids": (3, -1)}, "got -1", id="negative class"),
    ],
)
def test_impossible_values_are_refused(wish: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        DetectOptions(**wish)  # type: ignore[arg-type]
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param({}, id="nothing said"),
        pytest.param({"confidence": 0, "iou": 0}, id="zeros"),
        pytest.param({"confidence": 1, "iou": 1}, id="ones"),
        pytest.param({"max_detections": DETECTIONS_CEILING}, id="as many as allowed"),
        pytest.param({"class_ids": ()}, id="no class at all"),
    ],
)
def test_possible_values_are_kept(wish: dict[str, object]) -> None:
    options = DetectOptions(**wish)  # type: ignore[arg-type]
    assert {name: getattr(options, name) for name in wish} == wish
