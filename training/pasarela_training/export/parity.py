"""How far a variant is from the checkpoint in PyTorch: the raw head, and the detections that it is served with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pasarela_server.backends.base import Backend
from pasarela_server.detection.detections import Detections
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_server.tensor import Array
from pasarela_training.export.check import BatchDifference, batch_difference
from pasarela_training.variants import INPUT_NAME, OUTPUT_NAME

CONFIDENCE = 0.25
"""Detections from this score on are matched."""
IOU = 0.9
"""Two boxes match if they overlap by so much."""

Floats = npt.NDArray[np.float32]
Network = Callable[[Array], Floats]
"""(1, 3, h, w) to (1, 4 + classes, anchors)."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What one precision may differ by from PyTorch in FP32."""

    head_box_px: float | None
    """Of boxes of the raw head; None where the raw head is not compared."""
    head_score: float | None
    matched: float
    """Share of detections that must match, from 0 to 1."""
    threshold_score: float
    """Detections within so much below `CONFIDENCE` may be the match of one above it."""


TOLERANCES = {
    "fp32": Tolerance(0.05, 1e-4, 0.995, 1e-4),
    "fp16": Tolerance(2.0, 0.02, 0.98, 0.02),
    "int8": Tolerance(None, None, 0.95, 0.05),
}


@dataclass(frozen=True, slots=True)
class Matching:
    """How the detections of two networks agree."""

    matched: float
    """Share that has a match in the other, counted both ways, from 0 to 1; 1 where neither finds anything."""
    mean_iou: float
    """Of the matches; 1 without any."""
    score_difference: float
    """The largest of the matches."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Real images, prepared, and what PyTorch answers to them."""

    arrays: Sequence[Array]
    letterboxes: Sequence[Letterbox]
    answers: Sequence[Floats]
    """(4 + classes, anchors) for each."""


def eager_network(weights: Path) -> Network:
    """The checkpoint in plain PyTorch, FP32, on the CPU."""
    import torch
    from ultralytics import YOLO

    model = YOLO(weights).model.float().eval()

    def answer(array: Array) -> Floats:
        with torch.inference_mode():
            output = model(torch.from_numpy(array))
        first = output[0] if isinstance(output, tuple | list) else output
        return np.asarray(first.numpy(), np.float32)

    return answer


def served_network(backend: Backend) -> Network:
    """A loaded variant."""
    session = backend.session()
    return lambda array: session.infer({INPUT_NAME: array})[OUTPUT_NAME]


def head_difference(network: Network, inputs: Inputs) -> BatchDifference:
    """The largest differences of the raw head from PyTorch, over all images."""
    answers = np.stack([network(array)[0] for array in inputs.arrays])
    return batch_difference(answers, np.stack(list(inputs.answers)), confident_only=True)


def detection_matching(network: Network, detector: YoloDetector, inputs: Inputs, tolerance: Tolerance) -> Matching:
    """Matches the detections of a network with those of PyTorch, both as the server would answer."""
    options = DetectOptions(
        confidence=CONFIDENCE - tolerance.threshold_score, iou=0.7, max_detections=100, class_ids=None
    )
    pairs = (
        (detector.postprocess(answer, letterbox, options), detector.postprocess(network(array)[0], letterbox, options))
        for array, letterbox, answer in zip(inputs.arrays, inputs.letterboxes, inputs.answers, strict=True)
    )
    return match_detections(pairs)


def match_detections(pairs: Iterable[tuple[Detections, Detections]]) -> Matching:
    """Matches detections image by image: each from `CONFIDENCE` on looks for its like among all of the other side."""
    total = 0
    overlaps: list[float] = []
    differences: list[float] = []
    for pair in pairs:
        for ours, others in (pair, pair[::-1]):
            overlap = _overlaps(ours.boxes, others.boxes) * (ours.class_ids[:, None] == others.class_ids[None, :])
            for row in np.flatnonzero(ours.scores >= CONFIDENCE):
                total += 1
                if not len(others.scores) or overlap[row].max() < IOU:
                    continue
                best = int(overlap[row].argmax())
                overlaps.append(float(overlap[row, best]))
                differences.append(abs(float(ours.scores[row]) - float(others.scores[best])))
    share = len(overlaps) / total if total else 1.0
    return Matching(share, float(np.mean(overlaps)) if overlaps else 1.0, max(differences, default=0.0))


def _overlaps(one: Floats, other: Floats) -> npt.NDArray[np.float64]:
    """Intersection over union of corner boxes (n, 4) and (m, 4): (n, m)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2]).astype(np.float64)
    high = np.minimum(one[:, None, 2:], other[None, :, 2:]).astype(np.float64)
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))
