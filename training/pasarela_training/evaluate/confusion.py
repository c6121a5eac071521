"""Which class is taken for which: detections matched with the truth, counted. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MATCHING_IOU = 0.5


def confusion_matrix(document: Mapping[str, Any], results: Sequence[Mapping[str, Any]], confidence: float) -> Counts:
    """Counts pairs of true and found class over all images of a COCO document.

    Of each image, pairs of boxes that overlap by at least `MATCHING_IOU` are taken, the largest overlap first, each box
    once, whatever their classes.

    Args:
        document: The COCO document; annotations with `iscrowd` are left out.
        results: Detections in COCO's form.
        confidence: Those with a lower score are left out.

    Returns:
        (classes + 1, classes + 1): rows are true classes by their order in `categories`, columns found ones. The last
        row counts false alarms, the last column boxes that were missed: a row adds up to the boxes of its class.
    """
    position = {category["id"]: index for index, category in enumerate(document["categories"])}
    background = len(position)
    matrix = np.zeros((background + 1, background + 1), np.int64)
    found = defaultdict(list)
    for result in results:
        if result["score"] >= confidence:
            found[result["image_id"]].append(result)
    truth = defaultdict(list)
    for annotation in document["annotations"]:
        if not annotation.get("iscrowd"):
            truth[annotation["image_id"]].append(annotation)
    for image_id in sorted(truth.keys() | found.keys()):
        _count(matrix, truth[image_id], found[image_id], position)
    return matrix


def match_boxes(truth: Floats, found: Floats, iou: float = MATCHING_IOU) -> list[tuple[int, int]]:
    """Pairs boxes, the largest overlap first, each at most once.

    Args:
        truth: (n, 4): left, top, width, height.
        found: (m, 4), likewise.
        iou: Smallest intersection over union of a pair.

    Returns:
        Pairs of indices into `truth` and `found`.
    """
    overlaps = box_iou(truth, found)
    rows, columns = np.nonzero(overlaps >= iou)
    pairs: list[tuple[int, int]] = []
    free_rows, free_columns = set(rows.tolist()), set(columns.tolist())
    for order in np.argsort(-overlaps[rows, columns], kind="stable").tolist():
        row, column = int(rows[order]), int(columns[order])
        if row in free_rows and column in free_columns:
            pairs.append((row, column))
            free_rows.discard(row)
            free_columns.discard(column)
    return pairs


def box_iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of every pair: (n, 4) and (m, 4), both left, top, width, height, give (n, m)."""
    end_first, end_second = first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:]
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(end_first[:, None], end_second[None])
    shared = (high - low).clip(0).prod(axis=2)
    whole = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None] - shared
    overlaps: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return overlaps


def as_boxes(entries: Sequence[Mapping[str, Any]]) -> Floats:
    """The boxes of annotations or results: (n, 4), left, top, width, height."""
    return np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)


def _count(
    matrix: Counts, truth: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], position: Mapping[int, int]
) -> None:
    true_classes = [position[entry["category_id"]] for entry in truth]
    found_classes = [position[entry["category_id"]] for entry in found]
    pairs = match_boxes(as_boxes(truth), as_boxes(found))
    for row, column in pairs:
        matrix[true_classes[row], found_classes[column]] += 1
    paired_rows, paired_columns = {row for row, _ in pairs}, {column for _, column in pairs}
    for row, class_id in enumerate(true_classes):
        if row not in paired_rows:
            matrix[class_id, -1] += 1
    for column, class_id in enumerate(found_classes):
        if column not in paired_columns:
            matrix[-1, class_id] += 1
