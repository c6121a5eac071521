"""Suppression of a batch's plain answers to finished rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.detection.layout import Layout
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.suppression import finish_rows
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_server.tensor import DataType

OPTIONS = DetectOptions(confidence=0.001, iou=0.7, max_detections=5)
SIDE = 64
DETECTOR = YoloDetector("images", "output0", ("a", "b", "c"), (SIDE, SIDE), 32, DataType.FP32, Layout.ANCHORS)


def answer(*columns: tuple[float, ...]) -> np.ndarray:
    """One image's anchors of (centre x, centre y, width, height, score per class)."""
    return np.array(columns, np.float32).T


FOUND = answer((20, 20, 10, 20, 0.1, 0.6, 0), (21, 20, 10, 20, 0, 0.5, 0), (50, 50, 4, 4, 0.9, 0, 0))


def test_rows_are_corners_score_and_class_best_first_then_zeros() -> None:
    rows = finish_rows(FOUND[None], OPTIONS, every_label=False)
    assert rows.shape == (1, 5, 6)
    assert rows.dtype == np.float32
    assert np.allclose(rows[0, :2], [[48, 48, 52, 52, 0.9, 0], [15, 10, 25, 30, 0.6, 1]])
    assert not rows[0, 2:].any()


def test_every_label_of_an_anchor_may_count() -> None:
    rows = finish_rows(FOUND[None], OPTIONS, every_label=True)
    assert np.allclose(rows[0, :3, 4:], [[0.9, 0], [0.6, 1], [0.1, 0]])


def test_each_image_of_a_batch_is_suppressed_by_itself() -> None:
    nothing = np.zeros_like(FOUND)
    rows = finish_rows(np.stack((nothing, FOUND)), OPTIONS, every_label=False)
    assert not rows[0].any()
    assert np.array_equal(rows[1:], finish_rows(FOUND[None], OPTIONS, every_label=False))


@pytest.mark.parametrize("every_label", [False, True])
def test_a_box_that_is_no_number_is_dropped(every_label: bool) -> None:
    broken = answer((np.nan, 20, 10, 20, 0.9, 0, 0), (50, 50, 4, 4, 0.8, 0, 0))
    assert np.allclose(finish_rows(broken[None], OPTIONS, every_label=every_label)[0, :, 4], [0.8, 0, 0, 0, 0])


def test_half_precision_is_read() -> None:
    rows = finish_rows(FOUND[None].astype(np.float16), OPTIONS, every_label=False)
    assert np.allclose(rows[0, :2, 4], [0.9, 0.6], atol=1e-3)


@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 40))
def test_the_rows_are_what_a_detector_finds(seed: int, limit: int) -> None:
    random = np.random.default_rng(seed)
    output = random.random((7, 60)).astype(np.float32)
    output[:2] = 16 + 32 * output[:2]
    output[2:4] *= 30
    options = DetectOptions(confidence=0.3, iou=0.5, max_detections=limit)
    found = DETECTOR.postprocess(output, Letterbox.fit((SIDE, SIDE), (SIDE, SIDE)), options)
    rows = finish_rows(output[None], options, every_label=False)[0]
    filled = rows[rows[:, 4] > 0]
    assert np.allclose(filled[:, :4], found.boxes, atol=1e-4)
    assert np.array_equal(filled[:, 4], found.scores)
    assert np.array_equal(filled[:, 5], found.class_ids)
