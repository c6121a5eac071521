"""How a network lays out its answer: read into boxes, scores and classes, whatever family it is of. Pure."""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

BOX_VALUES = 4
ROW_VALUES = 6
"""Four of the box, the score, the class id."""

Floats = npt.NDArray[np.float32]
Candidates = tuple[Floats, Floats, npt.NDArray[np.int32]]
"""Boxes (n, 4) as corners in input pixels, scores (n,), class ids (n,)."""


class Layout(enum.Enum):
    """What one image's output is; the value is for people."""

    ANCHORS = "anchors to be suppressed"
    """(4 + classes, anchors): centre and size in input pixels, then a score for each class. YOLO's plain head."""
    ROWS = "finished rows"
    """(n, 6): corners in input pixels, score, class id. Suppressed in the network: YOLO26, YOLOv10, `nms=True`."""
    SCALED_ROWS = "finished rows, from 0 to 1"
    """(n, 6): centre and size as shares of the input, score, class id. RT-DETR."""
    SCALED_QUERIES = "queries, from 0 to 1"
    """(n, 4 + classes): centre and size as shares of the input, then a score for each class. RT-DETR, exported before
    Ultralytics chose the best queries in the network."""

    @property
    def is_scaled(self) -> bool:
        """True for boxes as shares of the input: these networks see the image stretched, not letterboxed."""
        return self in (Layout.SCALED_ROWS, Layout.SCALED_QUERIES)


def read_candidates(output: Floats, layout: Layout, confidence: float, image_size: tuple[int, int]) -> Candidates:
    """Reads one image's output.

    Args:
        output: As `layout` says.
        layout: What it is.
        confidence: Candidates that cannot score above this need not be returned.
        image_size: (height, width) of the network's input.
    """
    if layout is Layout.ANCHORS:
        return _read_anchors(output, confidence)
    if layout is Layout.ROWS:
        return output[:, :BOX_VALUES], output[:, 4], output[:, 5].astype(np.int32)
    height, width = image_size
    pixels = output[:, :BOX_VALUES] * np.array([width, height, width, height], np.float32)
    boxes = corners(pixels.T)
    if layout is Layout.SCALED_ROWS:
        return boxes, output[:, 4], output[:, 5].astype(np.int32)
    scores = output[:, BOX_VALUES:]
    return boxes, scores.max(axis=1), scores.argmax(axis=1).astype(np.int32)


def _read_anchors(output: Floats, confidence: float) -> Candidates:
    # Few of the thousands of anchors pass: the rows are reduced as they lie, and only survivors are gathered.
    best = output[BOX_VALUES:].max(axis=0)
    survivors = np.flatnonzero(best > confidence)
    picked = output.take(survivors, axis=1)
    class_ids = picked[BOX_VALUES:].argmax(axis=0).astype(np.int32)
    return corners(picked[:BOX_VALUES]), best[survivors], class_ids


def corners(boxes: Floats) -> Floats:
    """(4, n) centre and size to (n, 4) corners."""
    half = boxes[2:4] / 2
    found = np.empty((boxes.shape[1], BOX_VALUES), boxes.dtype)
    np.subtract(boxes[:2], half, out=found[:, :2].T)
    np.add(boxes[:2], half, out=found[:, 2:].T)
    return found
