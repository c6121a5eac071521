"""Measuring all variants on all splits, and keeping figures, pictures and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from pasarela_server.backends.base import Backend
from pasarela_server.errors import ServingError
from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.confusion import confusion_matrix
from pasarela_training.evaluate.measure import run_variant
from pasarela_training.evaluate.measured import RESULTS, Measured, read_measured, write_measured
from pasarela_training.evaluate.pictures import draw_confusion, draw_precision_recall
from pasarela_training.evaluate.predictions import write_predictions
from pasarela_training.evaluate.scores import Judged, Result, Scores, judge
from pasarela_training.evaluate.tables import class_table, score_table
from pasarela_training.framework import available_cores
from pasarela_training.variants import VariantSpec, opened

__all__ = ["RESULTS", "Measured", "make_evaluate", "measure", "read_measured"]


def make_evaluate(
    image_root: Path,
    coco: Path,
    exported: Path,
    variants: Sequence[VariantSpec],
    section: EvaluateSection,
    output: Path,
) -> str:
    """Measures variants.

    Args:
        image_root: Folder that the documents' file names are relative to.
        coco: Output of the `coco` stage.
        exported: Output of the `export` stage.
        variants: Which to measure.
        section: How.
        output: Folder to write `results.json`, `results.md`, `predictions/` and `pictures/` into.

    Returns:
        The figures in one line.
    """
    measured = [measure(variant, image_root, coco, exported / variant.name, section, output) for variant in variants]
    write_measured(output, measured)
    last = section.splits[-1]
    lines = [*score_table(measured), "", f"AP50-95 by class, {last}:", "", *class_table(measured, last), ""]
    (output / "results.md").write_text("\n".join(lines), encoding="utf-8")
    figures = ", ".join(
        f"{one.variant} {one.splits[last].map50:.4f}/{one.splits[last].map50_95:.4f}" for one in measured
    )
    return f"mAP50/mAP50-95 on {last}: {figures}"


def measure(
    variant: VariantSpec,
    image_root: Path,
    coco: Path,
    folder: Path,
    section: EvaluateSection,
    output: Path | None = None,
) -> Measured:
    """Measures one variant on all splits.

    Args:
        variant: Which one.
        image_root: Folder that the documents' file names are relative to.
        coco: Output of the `coco` stage.
        folder: Where the variant's files lie.
        section: How.
        output: Folder to keep predictions and pictures in, if they are wanted.

    Raises:
        TrainingError: It cannot be loaded or run as the server would.
    """
    try:
        with opened(variant, folder, section.threads or available_cores()) as backend:
            return _measure_loaded(backend, variant, image_root, coco, section, output)
    except ServingError as error:
        raise TrainingError(f"evaluate: {variant.name} cannot be run as the server would: {error}") from error


def _measure_loaded(
    backend: Backend,
    variant: VariantSpec,
    image_root: Path,
    coco: Path,
    section: EvaluateSection,
    output: Path | None,
) -> Measured:
    splits: dict[str, Scores] = {}
    infer_ms = 0.0
    for split in section.splits:
        document = coco / f"{split}.json"
        run = run_variant(backend, image_root, document, section, f"evaluate {variant.name} on {split}")
        judged = judge(document, run.results, section.max_detections)
        splits[split], infer_ms = judged.scores, run.infer_ms
        if output is not None:
            write_predictions(output, variant.name, split, run.results)
            _draw(variant, split, document, judged, run.results, section, output / "pictures")
    return Measured(variant.name, backend.description, infer_ms, splits)


def _draw(
    variant: VariantSpec,
    split: str,
    document: Path,
    judged: Judged,
    results: Sequence[Result],
    section: EvaluateSection,
    folder: Path,
) -> None:
    folder.mkdir(exist_ok=True)
    stem, title = f"{variant.name}-{split}", f"{variant.title}, {split}"
    draw_precision_recall(judged.curves, f"{title}: precision and recall at IoU 0.5", folder / f"{stem}-pr.png")
    content = orjson.loads(document.read_bytes())
    matrix = confusion_matrix(content, results, section.shown_confidence)
    names = [category["name"] for category in content["categories"]]
    draw_confusion(
        matrix, names, f"{title}: scores from {section.shown_confidence:g}", folder / f"{stem}-confusion.png"
    )
