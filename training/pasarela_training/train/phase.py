"""One phase of training with Ultralytics."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasarela_training.config import Hyperparameters, TrainSection
from pasarela_training.errors import TrainingError
from pasarela_training.framework import available_cores, output_to, prepare_environment
from pasarela_training.train.callbacks import PhaseCallbacks
from pasarela_training.train.device import usable_device

RESUME = "resume.pt"
RESULTS = "results.csv"


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """Everything that one phase needs."""

    section: TrainSection
    parameters: Hyperparameters
    number: int
    phases: int
    start: str
    """Network or weights to start from."""
    dataset: Path
    """Output of the `yolo` stage."""
    folder: Path
    """Where the phase writes; `weights.pt` in the end."""
    log: Path
    framework_settings: Path
    """Where Ultralytics may keep its settings."""

    @property
    def scratch(self) -> Path:
        """Ultralytics' own folder, which it removes when it starts on several GPUs: nothing of ours lies in it."""
        return self.folder / "ultralytics"


def train_phase(run: PhaseRun) -> None:
    """Trains one phase, from the last whole epoch if an earlier run was interrupted.

    Raises:
        TrainingError: Ultralytics failed; its log says more.
    """
    threads = run.section.threads or available_cores()
    prepare_environment(run.framework_settings, threads)
    callbacks = PhaseCallbacks(
        threads=threads,
        workers=run.section.workers,
        channels_last=run.section.channels_last,
        resume=run.folder / RESUME,
        label=f"train {run.number}/{run.phases} at {run.parameters.imgsz} px",
    )
    run.scratch.mkdir(exist_ok=True)
    try:
        with output_to(run.log):
            weights = _train(run, callbacks)
    except subprocess.CalledProcessError as error:
        raise TrainingError(
            f"train: phase {run.number} failed: a process of train.device {run.section.device} ended with code "
            f"{error.returncode}; what it said stands above. Short of GPU memory, take a smaller train.batch or "
            f"train.imgsz; the same command goes on from the last whole epoch"
        ) from error
    except (RuntimeError, ValueError, OSError, AssertionError, SyntaxError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise TrainingError(
            f"train: phase {run.number} failed: {first}{_advice(first)}; {run.log} says more"
        ) from error
    finally:
        callbacks.close()
    if not _finite(weights):
        (run.folder / RESUME).unlink(missing_ok=True)
        raise TrainingError(
            f"train: phase {run.number} ended with weights that are no numbers: it diverged; take a smaller train.lr0"
        )
    results = run.scratch / RESULTS
    if results.is_file():
        shutil.copyfile(results, run.folder / RESULTS)
    temporary = run.folder / ".weights.partial"
    shutil.copyfile(weights, temporary)
    temporary.replace(run.folder / "weights.pt")
    shutil.rmtree(run.scratch)
    for leftover in (run.folder / RESUME, callbacks.state):
        leftover.unlink(missing_ok=True)


def _advice(message: str) -> str:
    """What to change, for failures that have a usual cause."""
    lower = message.lower()
    if "out of memory" in lower:
        return " (take a smaller train.batch or train.imgsz, or train.cache: false)"
    if re.search(r"\bnan\b", lower):
        return " (take a smaller train.lr0, or train.precision: fp32)"
    return ""


def _train(run: PhaseRun, callbacks: PhaseCallbacks) -> Path:
    from ultralytics.models.yolo.detect import DetectionTrainer

    resume = run.folder / RESUME
    overrides = ultralytics_arguments(run) | {"device": usable_device(run.section.device)}
    if resume.is_file():
        if _epochs_done(resume) >= run.parameters.epochs:
            return _stripped(resume, run.scratch / "last.pt")
        overrides |= {"resume": str(resume), "model": str(resume)}
    trainer = DetectionTrainer(overrides=overrides, _callbacks=callbacks.registered())
    trainer.train()
    weights: Path = trainer.best if run.section.validate_each_epoch else trainer.last
    return weights


def _epochs_done(checkpoint: Path) -> int:
    import torch

    # A checkpoint that this run wrote: it may be a pickle.
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)  # nosec B614
    return int(state["epoch"]) + 1


def _stripped(checkpoint: Path, copy: Path) -> Path:
    """A copy of a checkpoint without the optimizer's state, ready to be used as weights."""
    from ultralytics.utils.torch_utils import strip_optimizer

    strip_optimizer(checkpoint, s=copy)
    return copy


def _finite(weights: Path) -> bool:
    import torch

    # As above.
    state = torch.load(weights, map_location="cpu", weights_only=False)  # nosec B614
    model = state["model"]
    return all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())


def ultralytics_arguments(run: PhaseRun) -> dict[str, Any]:
    """What Ultralytics is told."""
    section, parameters = run.section, run.parameters
    precision: dict[str, bool | str] = {"fp32": False, "bf16": "bf16", "fp16": True}
    return parameters.model_dump(exclude={"freeze"}) | {
        "mode": "train",
        "task": "detect",
        "model": run.start,
        "data": str((run.dataset / "data.yaml").resolve()),
        "save_dir": str(run.scratch.resolve()),
        "nbs": parameters.batch,
        "close_mosaic": min(parameters.close_mosaic, parameters.epochs),
        "cos_lr": True,
        "seed": section.seed,
        "device": section.device,
        "workers": section.workers,
        "amp": precision[section.precision],
        "cache": "ram" if section.cache else False,
        "val": section.validate_each_epoch,
        "plots": False,
        "patience": section.patience,
        "freeze": parameters.freeze or None,
        "verbose": True,
    }
