"""Exporting all variants, and checking each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pasarela_server.errors import ServingError
from pasarela_training.config import Variant
from pasarela_training.errors import TrainingError
from pasarela_training.export.check import check_variant
from pasarela_training.export.formats import export_variant
from pasarela_training.export.metadata import FACTS, ModelFacts, model_facts
from pasarela_training.framework import available_cores, output_to, prepare_environment
from pasarela_training.progress import progress
from pasarela_training.variants import VARIANTS, opened

CHECKED_BATCH = 3


def make_export(weights: Path, imgsz: int, variants: Sequence[Variant], settings_folder: Path, output: Path) -> str:
    """Exports and checks variants.

    Args:
        weights: The trained checkpoint.
        imgsz: Side of the input in pixels.
        variants: Which to make.
        settings_folder: Where Ultralytics may keep its settings.
        output: Folder to write into: one folder per variant, `check.json` and `export.log`.

    Returns:
        One line that says what was exported.

    Raises:
        TrainingError: A variant could not be exported, or is not what it should be.
    """
    threads = available_cores()
    prepare_environment(settings_folder, threads)
    log = output / "export.log"
    checks: dict[str, object] = {}
    facts: set[ModelFacts] = set()
    for variant in progress(variants, "export", total=len(variants)):
        folder = output / variant
        with tempfile.TemporaryDirectory(dir=output) as scratch:
            try:
                with output_to(log):
                    export_variant(variant, weights, imgsz, Path(scratch), folder)
            except (RuntimeError, ValueError, OSError, AssertionError, TypeError) as error:
                first = next(iter(str(error).strip().splitlines()), type(error).__name__)
                raise TrainingError(f"export: {variant} failed: {first}; {log} says more") from error
        try:
            with opened(VARIANTS[variant], folder, threads) as backend:
                checks[variant] = asdict(check_variant(backend, imgsz, CHECKED_BATCH))
                facts.add(model_facts(backend.spec.metadata))
        except ServingError as error:
            raise TrainingError(f"export: {variant} cannot be loaded as the server would: {error}") from error
    if len(facts) != 1:
        raise TrainingError(f"export: the variants disagree about the model: {sorted(map(str, facts))}")
    (output / FACTS).write_text(json.dumps(asdict(facts.pop()), indent=1) + "\n", encoding="utf-8")
    (output / "check.json").write_text(json.dumps(checks, indent=1) + "\n", encoding="utf-8")
    return f"{', '.join(variants)} at {imgsz} px, batches checked against their rows"
