"""COCO's figures, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pasarela_training.errors import TrainingError

Result = dict[str, Any]
"""image_id, category_id, bbox (left, top, width, height in pixels), score."""


SIZES = ("small", "medium", "large")
"""COCO's areas: below 32² pixels of the source image, below 96², and above."""
_AREAS = ((0, 32**2), (32**2, 96**2), (96**2, 1e10))
"""In square pixels; both ends belong to the range, as for pycocotools."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a variant finds the boxes of one split. All are from 0 to 1."""

    map50_95: float
    map50: float
    map75: float
    classes: Mapping[str, float]
    """AP50-95 of each class that occurs in the split."""
    sizes: Mapping[str, float | None] = field(default_factory=dict)
    """mAP50-95 by size, see `SIZES`; None where the split has no box of the size."""
    classes50: Mapping[str, float] = field(default_factory=dict)
    """AP50 of each class that occurs in the split."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The figures, and the curves that they are the areas of."""

    scores: Scores
    curves: Mapping[str, npt.NDArray[np.float64]]
    """By class that occurs: precision at IoU .5 at the recalls 0, 0.01, …, 1."""


def coco_scores(ground_truth: Path, results: Sequence[Result], max_detections: int = 100) -> Scores:
    """The figures of `judge` alone."""
    return judge(ground_truth, results, max_detections).scores


def judge(ground_truth: Path, results: Sequence[Result], max_detections: int = 100) -> Judged:
    """Compares detections with a COCO document, as pycocotools does.

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
        names = _names(truth)
        if not names:
            raise TrainingError(f"evaluate: {ground_truth} has no boxes to compare with")
        if not results:
            return _nothing_found(truth, names)
        # pycocotools adds keys to the dictionaries that it is given.
        evaluation = COCOeval(truth, truth.loadRes([dict(result) for result in results]), "bbox")
        evaluation.params.maxDets = [max_detections]
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU thresholds .50 to .95, recalls, categories, areas, limits); -1 where a category does not occur.
    precision = evaluation.eval["precision"][..., -1]
    whole = precision[..., 0]
    present = [(names[category], index) for index, category in enumerate(evaluation.params.catIds) if category in names]
    scores = Scores(
        map50_95=_mean(whole),
        map50=_mean(whole[0]),
        map75=_mean(whole[5]),
        classes={name: _mean(whole[:, :, index]) for name, index in present},
        sizes={size: _mean_or_none(precision[..., area]) for area, size in enumerate(SIZES, start=1)},
        classes50={name: _mean(whole[0, :, index]) for name, index in present},
    )
    return Judged(scores, {name: whole[0, :, index].clip(0) for name, index in present})


def _nothing_found(truth: Any, names: Mapping[int, str]) -> Judged:
    none = dict.fromkeys(names.values(), 0.0)
    areas = [annotation["area"] for annotation in _boxes(truth)]
    sizes = {
        size: 0.0 if any(low <= area <= high for area in areas) else None
        for size, (low, high) in zip(SIZES, _AREAS, strict=True)
    }
    return Judged(Scores(0.0, 0.0, 0.0, none, sizes, none), {name: np.zeros(101) for name in none})


def _mean(precision: npt.NDArray[np.float64]) -> float:
    return _mean_or_none(precision) or 0.0


def _mean_or_none(precision: npt.NDArray[np.float64]) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _names(truth: Any) -> dict[int, str]:
    present = {annotation["category_id"] for annotation in _boxes(truth)}
    return {number: category["name"] for number, category in truth.cats.items() if number in present}


def _boxes(truth: Any) -> list[dict[str, Any]]:
    """What is to be found; crowds need not be."""
    return [annotation for annotation in truth.anns.values() if not annotation.get("iscrowd")]
