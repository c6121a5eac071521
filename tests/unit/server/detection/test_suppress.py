"""Suppression: the rules as a table, and exactness against the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.detection.nms import suppress

BOX = [10, 10, 50, 50]
SHIFTED = [12, 10, 52, 50]  # overlap .905
ELSEWHERE = [100, 100, 150, 150]


def greedy(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, iou: float, limit: int) -> list[int]:
    """The definition, box by box, in double precision."""
    kept: list[int] = []
    for candidate in sorted(range(len(scores)), key=lambda index: (-scores[index], index)):
        left, top, right, bottom = boxes[candidate].astype(float)
        for other in kept:
            a, b, c, d = boxes[other].astype(float)
            shared = max(0, min(right, c) - max(left, a)) * max(0, min(bottom, d) - max(top, b))
            union = (right - left) * (bottom - top) + (c - a) * (d - b) - shared
            if class_ids[other] == class_ids[candidate] and shared > iou * union:
                break
        else:
            kept.append(candidate)
    return kept[:limit]


@pytest.mark.parametrize(
    ("boxes", "scores", "class_ids", "kept"),
    [
        pytest.param([BOX, SHIFTED], [0.5, 0.9], [0, 0], [1], id="the better of two stays"),
        pytest.param([BOX, SHIFTED], [0.5, 0.9], [0, 1], [1, 0], id="classes do not suppress each other"),
        pytest.param([BOX, ELSEWHERE], [0.5, 0.9], [0, 0], [1, 0], id="apart: both, best first"),
        pytest.param([BOX, BOX], [0.5, 0.5], [0, 0], [0], id="equal scores: the first stays"),
        pytest.param([BOX, SHIFTED, BOX], [0.9, 0.8, 0.7], [0, 0, 0], [0], id="the suppressed suppress nobody"),
        pytest.param([[-60, -60, -20, -20], [12, 12, 52, 52]], [0.9, 0.8], [1, 0], [0, 1], id="left of the image"),
        pytest.param([BOX], [0.5], [999], [0], id="alone"),
        pytest.param([[5, 5, 5, 5], [5, 5, 5, 9]], [0.5, 0.4], [0, 0], [0], id="of boxes without area one stays"),
    ],
)
def test_rules(boxes: list[list[int]], scores: list[float], class_ids: list[int], kept: list[int]) -> None:
    result = suppress(
        np.array(boxes, np.float32), np.array(scores, np.float32), np.array(class_ids), iou=0.7, limit=300
    )
    assert result.tolist() == kept


def test_nothing_gives_nothing() -> None:
    result = suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), iou=0.7, limit=9)
    assert result.shape == (0,)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.integers(1, 40), st.floats(0.05, 0.95))
def test_it_is_the_definition(seed: int, count: int, limit: int, iou: float) -> None:
    random = np.random.default_rng(seed)
    centres = random.uniform(-20, 80, (count, 2))
    sizes = random.uniform(5, 60, (count, 2))
    boxes = np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1).astype(np.float32)
    scores = random.choice(np.linspace(0.1, 0.9, 40), count).astype(np.float32)
    class_ids = random.integers(0, 3, count)
    result = suppress(boxes, scores, class_ids, iou=iou, limit=limit)
    assert result.tolist() == greedy(boxes, scores, class_ids, iou, limit)
