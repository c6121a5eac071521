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
        document: The COCO document. Annotations with `iscrowd` are not counted, nor are detections that pair with no
            box and lie in one by at least half of their area.
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
    truth: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    crowds: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in document["annotations"]:
        (crowds if annotation.get("iscrowd") else truth)[annotation["image_id"]].append(annotation)
    for image_id in sorted(truth.keys() | found.keys()):
        _count(matrix, truth[image_id], found[image_id], as_boxes(crowds[image_id]), position)
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
    shared = _shared_area(first, second)
    whole = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None] - shared
    overlaps: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return overlaps


def as_boxes(entries: Sequence[Mapping[str, Any]]) -> Floats:
    """The boxes of annotations or results: (n, 4), left, top, width, height."""
    return np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)


def _shared_area(first: Floats, second: Floats) -> Floats:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum((first[:, :2] + first[:, 2:])[:, None], (second[:, :2] + second[:, 2:])[None])
    area: Floats = (high - low).clip(0).prod(axis=2)
    return area


def _in_crowds(found: Floats, crowds: Floats) -> npt.NDArray[np.bool_]:
    """Whether each found box lies in a crowd by half of its area, as COCO reckons with crowds."""
    area = found[:, 2:].prod(axis=1)
    inside = _shared_area(found, crowds) >= MATCHING_IOU * area[:, None]
    return np.asarray(inside.any(axis=1) & (area > 0))


def _count(
    matrix: Counts,
    truth: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    crowds: Floats,
    position: Mapping[int, int],
) -> None:
    true_classes = [position[entry["category_id"]] for entry in truth]
    found_classes = [position[entry["category_id"]] for entry in found]
    found_boxes = as_boxes(found)
    pairs = match_boxes(as_boxes(truth), found_boxes)
    ignored = _in_crowds(found_boxes, crowds)
    for row, column in pairs:
        matrix[true_classes[row], found_classes[column]] += 1
    paired_rows, paired_columns = {row for row, _ in pairs}, {column for _, column in pairs}
    for row, class_id in enumerate(true_classes):
        if row not in paired_rows:
            matrix[class_id, -1] += 1
    for column, class_id in enumerate(found_classes):
        if column not in paired_columns and not ignored[column]:
            matrix[-1, class_id] += 1
