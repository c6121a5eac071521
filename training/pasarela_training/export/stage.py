"""Exporting all variants, and checking each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pasarela_server.errors import ServingError
from pasarela_training.config import EvaluateSection, Variant
from pasarela_training.config.export import ExportSection
from pasarela_training.errors import TrainingError
from pasarela_training.export.check import VariantCheck, write_checks
from pasarela_training.export.compare import Checker, with_quantisation
from pasarela_training.export.formats import export_variant
from pasarela_training.export.images import chosen_images
from pasarela_training.export.int8 import Quantised, export_int8
from pasarela_training.export.metadata import FACTS, ModelFacts
from pasarela_training.framework import available_cores, output_to, prepare_environment
from pasarela_training.progress import progress
from pasarela_training.variants import VARIANTS, VariantSpec


def make_export(
    weights: Path,
    imgsz: int,
    section: ExportSection,
    *,
    image_root: Path,
    coco: Path,
    evaluate: EvaluateSection,
    settings_folder: Path,
    seed: int,
    output: Path,
    specs: Mapping[Variant, VariantSpec] = VARIANTS,
) -> str:
    """Exports and checks variants.

    Args:
        weights: The trained checkpoint.
        imgsz: Side of the input in pixels.
        section: Which to make, and how.
        image_root: What the file names in the COCO documents are relative to.
        coco: Folder of `train.json` (INT8 is calibrated on it) and `val.json` (variants are checked on it).
        evaluate: How mAP is measured.
        settings_folder: Where Ultralytics may keep its settings.
        seed: Of the choice of images.
        output: Folder to write into: one folder per variant, `check.json`, `facts.json` and `export.log`.
        specs: How the variants are served: they are compared with the checkpoint in the precision given there.

    Returns:
        One line that says what was exported, and what did not pass its check.

    Raises:
        TrainingError: A variant could not be exported, or cannot be served at all. One that differs too much from the
            checkpoint is recorded in `check.json` instead.
    """
    threads = available_cores()
    prepare_environment(settings_folder, threads)
    log = output / "export.log"
    log.touch()
    val = coco / "val.json"
    count = section.checked_images
    checker = Checker(weights, imgsz, val, image_root, count=count, seed=seed, threads=threads, log=log, specs=specs)
    checks: dict[Variant, VariantCheck] = {}
    facts: set[ModelFacts] = set()
    for variant in progress(section.variants, "export", total=len(section.variants)):
        folder = output / variant
        quantised: Quantised | None = None
        with tempfile.TemporaryDirectory(dir=output) as scratch:
            try:
                if variant == "int8":
                    quantised = export_int8(
                        weights,
                        imgsz,
                        section.int8,
                        evaluate,
                        calibration=chosen_images(
                            coco / "train.json", image_root, section.int8.calibration_images, seed
                        ),
                        image_root=image_root,
                        val=val,
                        scratch=Path(scratch),
                        log=log,
                        output=folder,
                    )
                else:
                    with output_to(log):
                        export_variant(variant, weights, imgsz, Path(scratch), folder, section.dynamic_size)
            except (RuntimeError, ValueError, OSError, AssertionError, TypeError, ImportError, ServingError) as error:
                first = next(iter(str(error).strip().splitlines()), type(error).__name__)
                raise TrainingError(f"export: {variant} failed: {first}; {log} says more") from error
        checks[variant], known = checker.check(variant, folder)
        facts.add(known)
        if quantised is not None:
            checks[variant] = with_quantisation(checks[variant], quantised, section.int8.max_drop)
    if len(facts) != 1:
        raise TrainingError(f"export: the variants disagree about the model: {sorted(map(str, facts))}")
    (output / FACTS).write_text(json.dumps(asdict(facts.pop()), indent=1) + "\n", encoding="utf-8")
    write_checks(output, checks)
    return summary(checks, imgsz)


def summary(checks: Mapping[Variant, VariantCheck], imgsz: int) -> str:
    """One line about all variants."""
    said = f"{', '.join(checks)} at {imgsz} px"
    failed = [f"{variant} ({'; '.join(check.reasons)})" for variant, check in checks.items() if not check.passed]
    if failed:
        return f"{said}; NOT as PyTorch answers: {', '.join(failed)}"
    return f"{said}, each checked against PyTorch"
