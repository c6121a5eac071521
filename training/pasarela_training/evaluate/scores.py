"""COCO's figures, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pasarela_training.errors import TrainingError

Result = dict[str, Any]
"""image_id, category_id, bbox (left, top, width, height in pixels), score."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a variant finds the boxes of one split. All are from 0 to 1."""

    map50_95: float
    map50: float
    map75: float
    classes: Mapping[str, float]
    """AP50-95 of each class that occurs in the split."""


def coco_scores(ground_truth: Path, results: Sequence[Result], max_detections: int = 100) -> Scores:
    """Compares detections with a COCO document.

    Args:
        ground_truth: The document's file.
        results: All detections of all its images.
        max_detections: At most so many of an image and category count, the best first.

    Raises:
        TrainingError: The document has no boxes.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(ground_truth))
        if not truth.anns:
            raise TrainingError(f"evaluate: {ground_truth} has no boxes to compare with")
        if not results:
            return Scores(0.0, 0.0, 0.0, dict.fromkeys(_names(truth).values(), 0.0))
        evaluation = COCOeval(truth, truth.loadRes(list(results)), "bbox")
        evaluation.params.maxDets = [max_detections]
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU thresholds .50 to .95, recalls, categories, areas, limits); -1 where a category does not occur.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    names = _names(truth)
    classes = {
        names[category]: _mean(precision[:, :, index])
        for index, category in enumerate(evaluation.params.catIds)
        if category in names
    }
    return Scores(_mean(precision), _mean(precision[0]), _mean(precision[5]), classes)


def _mean(precision: np.ndarray[Any, Any]) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else 0.0


def _names(truth: Any) -> dict[int, str]:
    present = {annotation["category_id"] for annotation in truth.anns.values()}
    return {number: category["name"] for number, category in truth.cats.items() if number in present}
