"""What is known of an exported variant; and: does it answer a batch as it answers its rows one by one?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from pasarela_server.backends.base import Backend
from pasarela_training.config import Variant
from pasarela_training.errors import TrainingError
from pasarela_training.export.metadata import missing_keys
from pasarela_training.variants import INPUT_NAME, OUTPUT_NAME

BOX_TOLERANCE_PX = 2.0
SCORE_TOLERANCE = 0.02
"""Wide enough for bf16, which some CPUs use; a wrong row is far outside."""
CHECKS = "check.json"
CONFIDENT = 0.05
"""Boxes of anchors below this score are noise and are not compared."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BatchDifference:
    """The largest differences between a batch and its rows."""

    box_px: float
    score: float


@dataclass(frozen=True, slots=True)
class VariantCheck:
    """How an exported variant compares with itself and with the checkpoint in PyTorch, on images of val."""

    passed: bool
    reasons: list[str]
    """Why it did not pass."""
    precision: str
    """What it computed in."""
    batch_box_px: float
    """Largest difference of a box between a batch and its rows, in pixels of the input."""
    batch_score: float
    head_box_px: float | None
    """Largest difference of a box of the raw head from PyTorch; None for INT8, whose raw head is not compared."""
    head_score: float | None
    matched: float
    """Share of detections that have their like in PyTorch's, and the other way round, from 0 to 1."""
    mean_iou: float
    """Of those that match."""
    score_difference: float
    """The largest among those that match."""
    reverted_layers: list[str] = field(default_factory=list)
    """INT8: layers that went back to floating point to hold the budget."""
    ignored_layers: list[str] = field(default_factory=list)
    """INT8: layers that were never to be quantised."""
    map_drop: float | None = None
    """INT8: mAP50-95 lost against the OpenVINO variant on val."""


def write_checks(folder: Path, checks: Mapping[Variant, VariantCheck]) -> None:
    """Leaves the checks for `read_checks`."""
    content = {variant: asdict(check) for variant, check in checks.items()}
    (folder / CHECKS).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_checks(folder: Path) -> dict[Variant, VariantCheck]:
    """The checks that the `export` stage left in its folder.

    Raises:
        TrainingError: They are not there, or of another version of the pipeline.
    """
    path = folder / CHECKS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {cast("Variant", variant): VariantCheck(**check) for variant, check in content.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f"export: {path} cannot be read ({error}); run the export stage again") from error


def check_variant(backend: Backend, imgsz: int, batch: int, seed: int = 0) -> BatchDifference:
    """Checks the metadata of a loaded artefact, and a batch of random images against the same images one by one.

    Raises:
        TrainingError: Metadata are missing, the batch is fixed, or rows differ from the batch.
    """
    missing = missing_keys(backend.spec.metadata)
    if missing:
        raise TrainingError(f"export: the artefact has no {', '.join(missing)} in its metadata")
    if not backend.spec.batched:
        shapes = [tensor.shape for tensor in (*backend.spec.inputs, *backend.spec.outputs)]
        raise TrainingError(f"export: the artefact's batch dimension is fixed: its shapes are {shapes}")
    images = np.random.default_rng(seed).random((batch, 3, imgsz, imgsz), dtype=np.float32)
    session = backend.session()
    whole = session.infer({INPUT_NAME: images})[OUTPUT_NAME]
    rows = np.concatenate([session.infer({INPUT_NAME: images[row : row + 1]})[OUTPUT_NAME] for row in range(batch)])
    difference = batch_difference(whole, rows)
    if difference.box_px > BOX_TOLERANCE_PX or difference.score > SCORE_TOLERANCE:
        raise TrainingError(
            f"export: a batch of {batch} is answered differently from its rows: boxes differ by up to "
            f"{difference.box_px:.3f} px (allowed {BOX_TOLERANCE_PX}), scores by {difference.score:.4f} "
            f"(allowed {SCORE_TOLERANCE})"
        )
    return difference


def batch_difference(whole: Floats, rows: Floats, *, confident_only: bool = False) -> BatchDifference:
    """Compares two outputs (batch, 4 + classes, anchors).

    Args:
        whole: One of them.
        rows: The other.
        confident_only: Compare the scores of noise anchors no more than their boxes.

    Raises:
        TrainingError: Their shapes differ.
    """
    if whole.shape != rows.shape:
        raise TrainingError(f"export: a batch is answered with the shape {whole.shape}, its rows with {rows.shape}")
    confident = np.maximum(whole[:, 4:].max(axis=1), rows[:, 4:].max(axis=1)) > CONFIDENT
    boxes = np.abs(whole[:, :4] - rows[:, :4]).max(axis=1)[confident]
    scores = np.abs(whole[:, 4:] - rows[:, 4:]).max(axis=1)
    scores = scores[confident] if confident_only else scores
    return BatchDifference(float(boxes.max(initial=0.0)), float(scores.max(initial=0.0)))
