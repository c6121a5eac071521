"""What a phase that fails says; Ultralytics is replaced by what it raises."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from pasarela_training.config import TrainSection
from pasarela_training.errors import TrainingError
from pasarela_training.train import phase as phase_module
from pasarela_training.train.phase import PhaseRun, train_phase
from pasarela_training.train.record import spent_s


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PhaseRun:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    section = TrainSection(device="0,1")
    folder = tmp_path / "phase-1"
    folder.mkdir()
    log = tmp_path / "train.log"
    return PhaseRun(section, section.schedule()[0], 1, 1, section.model, tmp_path, folder, log, tmp_path / "settings")


@pytest.mark.parametrize(
    ("raised", "part"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "smaller train.batch"),  # reason: a usual cause
        (RuntimeError("Training failed: NaN, giving up"), "smaller train.lr0"),  # reason: another
        (RuntimeError("banana"), "banana; "),  # reason: not every nan is a NaN
        (subprocess.CalledProcessError(1, ["torchrun"]), "ended with code 1"),  # reason: one of several GPUs' processes
    ],
)
def test_the_usual_causes_are_told_with_what_to_change(
    run: PhaseRun, monkeypatch: pytest.MonkeyPatch, raised: Exception, part: str
) -> None:
    def fail(*_: object) -> Path:
        raise raised

    monkeypatch.setattr(phase_module, "_train", fail)
    with pytest.raises(TrainingError, match="phase 1 failed") as caught:
        train_phase(run)
    assert part in str(caught.value)


def test_weights_that_are_no_numbers_are_no_weights(run: PhaseRun, monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(model.weight, float("nan"))

    def diverge(*_: object) -> Path:
        torch.save({"model": model}, run.scratch / "last.pt")
        return run.scratch / "last.pt"

    monkeypatch.setattr(phase_module, "_train", diverge)
    with pytest.raises(TrainingError, match="diverged"):
        train_phase(run)
    assert not (run.folder / "weights.pt").exists()


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([], 0),  # reason: nothing ran
        ([2, 4, 6], 6),  # reason: one session
        ([2, 4, 1, 3], 7),  # reason: interrupted after 4 seconds, then 3 more
    ],
)
def test_the_time_of_all_sessions_counts(times: list[float], seconds: float) -> None:
    assert spent_s([{"time": time} for time in times]) == seconds
