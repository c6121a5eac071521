import os
from pathlib import Path
from typing import Any

import pytest

from pasarela_training.config import TrainSection
from pasarela_training.framework import prepare_environment
from pasarela_training.train.phase import PhaseRun, ultralytics_arguments


def arguments(**changes: Any) -> dict[str, Any]:
    section = TrainSection.model_validate(changes)
    (parameters,) = section.schedule()
    run = PhaseRun(
        section=section,
        parameters=parameters,
        number=1,
        phases=1,
        start=section.model,
        dataset=Path("yolo"),
        folder=Path("phase-1"),
        log=Path("train.log"),
        framework_settings=Path("ultralytics"),
    )
    return ultralytics_arguments(run)


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"seed": 7}, "seed", 7),  # reason: the seed is honoured
        ({"batch": 4}, "nbs", 4),  # reason: Ultralytics would otherwise gather gradients over 64 images
        ({"epochs": 2, "close_mosaic": 9}, "close_mosaic", 2),  # reason: cannot close before it begins
        ({"device": "0", "precision": "bf16"}, "amp", "bf16"),  # reason: on a GPU without fetching a model to check
        ({}, "amp", False),  # reason: fp32 unless told
        ({}, "plots", False),  # reason: nothing is drawn
        ({}, "val", False),  # reason: measured at the end, not after every epoch
        ({"validate_each_epoch": True}, "val", True),  # reason: unless told
        ({"cache": False}, "cache", False),  # reason: for datasets larger than the memory
        ({}, "cos_lr", True),  # reason: the schedule is a cosine
    ],
)
def test_what_ultralytics_is_told(changes: dict[str, Any], key: str, value: object) -> None:
    assert arguments(**changes)[key] == value


def test_ultralytics_knows_every_argument(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    prepare_environment(tmp_path, threads=1)
    from ultralytics.cfg import get_cfg

    told = arguments()
    assert vars(get_cfg(overrides=told)).items() >= told.items()


def test_paths_do_not_depend_on_the_working_directory() -> None:
    told = arguments()
    assert Path(told["data"]).is_absolute()
    assert Path(told["save_dir"]).is_absolute()
