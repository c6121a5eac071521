"""Running the phases, and keeping what earlier runs finished."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pasarela_training.config import TrainSection
from pasarela_training.errors import TrainingError
from pasarela_training.fingerprint import file_sha256, fingerprint
from pasarela_training.train.curves import draw_curves
from pasarela_training.train.phase import PhaseRun, train_phase, ultralytics_arguments
from pasarela_training.train.record import write_record

WEIGHTS = "weights.pt"
RUN_ONLY = frozenset({"device", "threads", "workers", "cache", "phases"})
"""Keys of the section that say where training runs, not what comes out."""


def train_recipe(section: TrainSection) -> dict[str, Any]:
    """The part of the section that decides the weights."""
    schedule = [phase.recipe() for phase in section.schedule()]
    own = section.recipe(exclude=RUN_ONLY | frozenset(type(section.schedule()[0]).model_fields))
    return own | {"schedule": schedule}


def model_fingerprint(model: str) -> str:
    """The fingerprint of what training starts from: a checkpoint's contents, or a network's name."""
    path = Path(model)
    if path.suffix != ".pt":
        return model
    if not path.is_file():
        raise TrainingError(
            f"train.model: there is no checkpoint {path}; nothing is downloaded, so give the path of one, "
            f"or a network such as yolov9t.yaml to start from random weights"
        )
    return file_sha256(path)


def make_train(section: TrainSection, dataset: Path, dataset_fingerprint: str, previous: Path, output: Path) -> str:
    """Trains all phases.

    Phases that were finished before, by the same recipe up to there, are taken over: from `output` after an
    interruption, from `previous` when a later phase of the configuration changed.

    Args:
        section: The `train` section.
        dataset: Output of the `yolo` stage.
        dataset_fingerprint: Its fingerprint.
        previous: Where an earlier finished training may lie.
        output: Folder to write into: `phase-1/`, `phase-2/`, …, and `weights.pt`.

    Returns:
        One line that says what was trained.
    """
    start = section.model
    told = []
    chain = fingerprint([dataset_fingerprint, model_fingerprint(start), train_recipe(section) | {"schedule": []}])
    schedule = section.schedule()
    log = output / "train.log"
    if (previous / log.name).is_file() and not log.exists():
        shutil.copyfile(previous / log.name, log)
    for number, parameters in enumerate(schedule, start=1):
        chain = fingerprint([chain, parameters.recipe()])
        folder = output / f"phase-{number}"
        if not _finished(folder, chain) and _finished(previous / folder.name, chain):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(previous / folder.name, folder)
        run = PhaseRun(
            section=section,
            parameters=parameters,
            number=number,
            phases=len(schedule),
            start=start,
            dataset=dataset,
            folder=folder,
            log=log,
            framework_settings=output.parent / "ultralytics",
        )
        told.append(ultralytics_arguments(run))
        if not _finished(folder, chain):
            if _recorded(folder) != chain:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            _record(folder, chain, finished=False)
            train_phase(run)
            _record(folder, chain, finished=True)
        start = str(folder / WEIGHTS)
    for leftover in output.glob("phase-*"):
        if int(leftover.name.removeprefix("phase-")) > len(schedule):
            shutil.rmtree(leftover)
    shutil.copyfile(start, output / WEIGHTS)
    phases = ", then ".join(f"{phase.epochs} epochs at {phase.imgsz} px" for phase in schedule)
    summary = f"{section.model}: {phases}"
    try:
        write_record(output, section, dataset_fingerprint, model_fingerprint(section.model), told)
        draw_curves(output, len(schedule), validated=section.validate_each_epoch)
    except (OSError, ValueError) as error:
        # The weights are there and took hours; what tells of them is not worth a second training.
        summary += f" (its record or curves could not be written: {error})"
    return summary


def _record(folder: Path, chain: str, *, finished: bool) -> None:
    temporary = folder / ".phase.json"
    temporary.write_text(json.dumps({"fingerprint": chain, "finished": finished}) + "\n", encoding="utf-8")
    temporary.replace(folder / "phase.json")


def _read(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((folder / "phase.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record


def _recorded(folder: Path) -> str | None:
    return _read(folder).get("fingerprint")


def _finished(folder: Path, chain: str) -> bool:
    return _recorded(folder) == chain and bool(_read(folder).get("finished")) and (folder / WEIGHTS).is_file()
