"""Suppression of a network's plain answer to a few finished rows, still in the network's own pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pasarela_server.detection.layout import (
    BOX_VALUES,
    ROW_VALUES,
    Candidates,
    Floats,
    Layout,
    corners,
    read_candidates,
)
from pasarela_server.detection.nms import suppress
from pasarela_server.detection.options import DetectOptions


def finish_rows(output: npt.NDArray[np.floating], options: DetectOptions, *, every_label: bool) -> Floats:
    """Suppresses the answer to a batch.

    Args:
        output: (batch, 4 + classes, anchors), as `Layout.ANCHORS` says.
        options: Thresholds, and how many rows an image gets.
        every_label: Whether an anchor counts once for each class that it scores for, as validation does, or for its
            best class only, as prediction does.

    Returns:
        (batch, max_detections, 6): corners in input pixels, score, class id; best first, the rest zeros.
    """
    rows = np.zeros((len(output), options.max_detections, ROW_VALUES), np.float32)
    for answer, finished in zip(output, rows, strict=True):
        boxes, scores, class_ids = _candidates(answer.astype(np.float32, copy=False), options.confidence, every_label)
        usable = (scores > options.confidence) & np.isfinite(boxes).all(axis=1)
        boxes, scores, class_ids = boxes[usable], scores[usable], class_ids[usable]
        kept = suppress(boxes, scores, class_ids, iou=options.iou, limit=options.max_detections)
        finished[: len(kept), :BOX_VALUES] = boxes[kept]
        finished[: len(kept), BOX_VALUES] = scores[kept]
        finished[: len(kept), BOX_VALUES + 1] = class_ids[kept]
    return rows


def _candidates(answer: Floats, confidence: float, every_label: bool) -> Candidates:
    if not every_label:
        return read_candidates(answer, Layout.ANCHORS, confidence, (0, 0))
    class_ids, anchors = np.nonzero(answer[BOX_VALUES:] > confidence)
    return corners(answer[:BOX_VALUES, anchors]), answer[BOX_VALUES + class_ids, anchors], class_ids.astype(np.int32)
