from pathlib import Path
from types import SimpleNamespace

import pytest

from pasarela_training.errors import TrainingError
from pasarela_training.train.callbacks import PhaseCallbacks
from pasarela_training.train.device import usable_device


@pytest.mark.parametrize(
    ("rank", "keeps"),
    [
        (None, True),  # reason: one process alone
        ("0", True),  # reason: the first of several
        ("1", False),  # reason: another would write the same file at the same time
    ],
)
def test_the_first_process_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str | None, keeps: bool
) -> None:
    if rank is None:
        monkeypatch.delenv("RANK", raising=False)
    else:
        monkeypatch.setenv("RANK", rank)
    (tmp_path / "last.pt").write_bytes(b"weights")
    resume = tmp_path / "resume.pt"
    callbacks = PhaseCallbacks(threads=1, workers=0, channels_last=False, resume=resume, label="train")
    callbacks.keep_checkpoint(SimpleNamespace(last=tmp_path / "last.pt", world_size=2))
    assert resume.exists() == keeps


@pytest.mark.parametrize(
    ("wanted", "there", "used"),
    [
        ("cpu", 4, "cpu"),  # reason: as told
        ("auto", 0, "cpu"),  # reason: there is nothing better
        ("auto", 2, "0"),  # reason: there is
        ("0,1", 2, "0,1"),  # reason: both are there
    ],
)
def test_what_is_trained_on(monkeypatch: pytest.MonkeyPatch, wanted: str, there: int, used: str) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    assert usable_device(wanted) == used


def test_a_gpu_that_is_not_there_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainingError, match=r"0,1 names GPU 1, and PyTorch sees GPUs 0 to 0.*device: cpu"):
        usable_device("0,1")
