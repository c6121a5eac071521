"""Does an exported variant answer a batch as it answers its rows one by one?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pasarela_server.backends.base import Backend
from pasarela_training.errors import TrainingError
from pasarela_training.export.metadata import missing_keys
from pasarela_training.variants import INPUT_NAME, OUTPUT_NAME

BOX_TOLERANCE_PX = 2.0
SCORE_TOLERANCE = 0.02
"""Wide enough for bf16, which some CPUs use; a wrong row is far outside."""
CONFIDENT = 0.05
"""Boxes of anchors below this score are noise and are not compared."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BatchDifference:
    """The largest differences between a batch and its rows."""

    box_px: float
    score: float


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


def batch_difference(whole: Floats, rows: Floats) -> BatchDifference:
    """Compares two outputs (batch, 4 + classes, anchors).

    Raises:
        TrainingError: Their shapes differ.
    """
    if whole.shape != rows.shape:
        raise TrainingError(f"export: a batch is answered with the shape {whole.shape}, its rows with {rows.shape}")
    confident = np.maximum(whole[:, 4:].max(axis=1), rows[:, 4:].max(axis=1)) > CONFIDENT
    boxes = np.abs(whole[:, :4] - rows[:, :4]).max(axis=1)[confident]
    return BatchDifference(float(boxes.max(initial=0.0)), float(np.abs(whole[:, 4:] - rows[:, 4:]).max(initial=0.0)))
