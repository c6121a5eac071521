"""Class-wise non-maximum suppression: of boxes that overlap and share a class, the best stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_suppress: Callable[..., Any] = cv2.dnn.NMSBoxesBatched  # its stub asks for sequences; arrays are what it is fast with


def suppress(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    class_ids: npt.NDArray[np.integer],
    *,
    iou: float,
    limit: int,
) -> npt.NDArray[np.intp]:
    """Greedy suppression, class by class.

    Candidates are taken in growing portions of the best: what happens to a box depends only on better ones, so the
    result is exact, and the work is bounded by `limit` however many boxes there are.

    Args:
        boxes: (n, 4), corners, in any unit.
        scores: (n,), all above 0.
        class_ids: (n,), 0 or above.
        iou: A box goes if its overlap with a better one of its class is above this.
        limit: How many to keep at most.

    Returns:
        Indices of the kept boxes, best score first; of equal scores the lower index first.
    """
    if len(scores) == 0:
        return np.zeros(0, np.intp)
    order = np.argsort(-scores, kind="stable")
    # OpenCV sets classes apart by shifting each by a multiple of the largest coordinate: none may be negative.
    rectangles = boxes[order].astype(np.float64)
    rectangles[:, 2:] -= rectangles[:, :2]
    rectangles[:, :2] -= rectangles[:, :2].min()
    ranked_scores, ranked_classes = scores[order], class_ids[order].astype(np.int32)
    portion = 2 * limit
    while True:
        kept = _suppress(rectangles[:portion], ranked_scores[:portion], ranked_classes[:portion], 0.0, iou)
        if len(kept) >= limit or portion >= len(order):
            return order[np.asarray(kept, np.intp)[:limit]]
        portion *= 2
