"""Measuring all variants on all splits, and keeping the figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pasarela_server.errors import ServingError
from pasarela_training.config import EvaluateSection, Variant
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.measure import run_variant
from pasarela_training.evaluate.scores import Scores, coco_scores
from pasarela_training.framework import available_cores
from pasarela_training.variants import VariantSpec, opened

RESULTS = "results.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one variant."""

    variant: Variant
    description: str
    """What ran it: framework, device, precision really used, threads."""
    infer_ms: float
    """Mean time of the network alone for one image, on the last split."""
    splits: dict[str, Scores]


def make_evaluate(
    source: Path, coco: Path, exported: Path, variants: Sequence[VariantSpec], section: EvaluateSection, output: Path
) -> str:
    """Measures variants.

    Args:
        source: The dataset.
        coco: Output of the `coco` stage.
        exported: Output of the `export` stage.
        variants: Which to measure.
        section: How.
        output: Folder to write `results.json` into.

    Returns:
        The figures in one line.
    """
    measured = [measure(variant, source, coco, exported / variant.name, section) for variant in variants]
    text = json.dumps([asdict(one) for one in measured], indent=1)
    (output / RESULTS).write_text(text + "\n", encoding="utf-8")
    last = section.splits[-1]
    figures = ", ".join(
        f"{one.variant} {one.splits[last].map50:.4f}/{one.splits[last].map50_95:.4f}" for one in measured
    )
    return f"mAP50/mAP50-95 on {last}: {figures}"


def measure(variant: VariantSpec, source: Path, coco: Path, folder: Path, section: EvaluateSection) -> Measured:
    """Measures one variant on all splits.

    Raises:
        TrainingError: It cannot be loaded or run as the server would.
    """
    splits: dict[str, Scores] = {}
    infer_ms = 0.0
    try:
        with opened(variant, folder, section.threads or available_cores()) as backend:
            for split in section.splits:
                document = coco / f"{split}.json"
                run = run_variant(backend, source, document, section, f"evaluate {variant.name} on {split}")
                splits[split] = coco_scores(document, run.results, section.max_detections)
                infer_ms = run.infer_ms
            return Measured(variant.name, backend.description, infer_ms, splits)
    except ServingError as error:
        raise TrainingError(f"evaluate: {variant.name} cannot be run as the server would: {error}") from error


def read_measured(folder: Path) -> list[Measured]:
    """The figures that `make_evaluate` left."""
    content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    return [
        Measured(**one | {"splits": {split: Scores(**scores) for split, scores in one["splits"].items()}})
        for one in content
    ]
