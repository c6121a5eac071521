"""All that is needed to repeat a training, written beside its weights."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pasarela_training.config import TrainSection
from pasarela_training.machine import describe_machine
from pasarela_training.train.curves import Row, read_results
from pasarela_training.train.phase import RESULTS

RECORD = "record.json"
PACKAGES = (
    "pasarela-training",
    "ultralytics-opencv-headless",
    "torch",
    "torchvision",
    "numpy",
    "opencv-python-headless",
)


def write_record(
    folder: Path, section: TrainSection, data: str, start_sha256: str, arguments: Sequence[dict[str, Any]]
) -> None:
    """Writes `record.json`.

    Args:
        folder: Output of the `train` stage.
        section: What was asked for.
        data: Digest of the data that it was trained on.
        start_sha256: Of the checkpoint that it started from, or the network's name.
        arguments: What Ultralytics was told, phase by phase.
    """
    schedule = section.schedule()
    phases = []
    for number, (parameters, told) in enumerate(zip(schedule, arguments, strict=True), start=1):
        rows = read_results(folder / f"phase-{number}" / RESULTS)
        epochs = len({row.get("epoch") for row in rows})
        phases.append(
            {
                "ultralytics": {key: value for key, value in told.items() if key not in {"data", "save_dir", "model"}},
                "epochs_asked": parameters.epochs,
                "epochs_run": epochs,
                "stopped_early": bool(section.patience) and 0 < epochs < parameters.epochs,
                "seconds": spent_s(rows),
            }
        )
    record = {
        "train": section.model_dump(mode="json"),
        "data": data,
        "start": start_sha256,
        "phases": phases,
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "machine": describe_machine() | {"gpus": _gpus()},
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def spent_s(rows: Sequence[Row]) -> float:
    """Seconds of all sessions of a phase together: Ultralytics' clock starts again when an interrupted one goes on."""
    times = [row.get("time", 0.0) for row in rows]
    ends = [time for time, after in zip(times, [*times[1:], 0.0], strict=False) if after < time]
    return round(sum(ends), 1)


def _gpus() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
