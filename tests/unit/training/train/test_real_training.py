"""Ultralytics itself, on a handful of pictures: interrupted and gone on with; and what its other processes are sent."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pasarela_training.config import ConvertSection, SampleSection, TrainSection
from pasarela_training.dataset.coco import make_coco
from pasarela_training.dataset.sample import make_sample, read_sums
from pasarela_training.dataset.sources.recognise import open_source
from pasarela_training.dataset.yolo import make_yolo
from pasarela_training.framework import output_to, prepare_environment
from pasarela_training.synthesize import SynthesizeSettings, synthesize
from pasarela_training.train.callbacks import PhaseCallbacks
from pasarela_training.train.phase import PhaseRun, ultralytics_arguments
from pasarela_training.train.stage import make_train

SECTION = TrainSection.model_validate(
    {"imgsz": 64, "epochs": 3, "batch": 4, "warmup_epochs": 0, "close_mosaic": 0, "threads": 1}
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Twelve drawn pictures in the form that Ultralytics reads."""
    synthesize(tmp_path / "data", SynthesizeSettings(images=12, seed=3, width=96, height=96), processes=1)
    source = open_source(tmp_path / "data")
    for stage in ("sample", "coco", "yolo"):
        (tmp_path / stage).mkdir()
    make_sample(source, SampleSection(), processes=1, max_broken=0, output=tmp_path / "sample")
    make_coco(source, tmp_path / "sample", processes=1, max_broken=0, output=tmp_path / "coco")
    sums = read_sums(tmp_path / "sample")
    make_yolo(source.image_root, tmp_path / "coco", sums, ConvertSection(), processes=1, output=tmp_path / "yolo")
    return tmp_path / "yolo"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "weights.pt", weights_only=False)["model"].state_dict()
    return state


@pytest.mark.timeout(300)
def test_an_interrupted_training_ends_as_one_that_was_not(
    yolo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "train"
    output.mkdir()
    started: list[int] = []
    start, keep = PhaseCallbacks.start, PhaseCallbacks.keep_checkpoint

    def noting(self: PhaseCallbacks, trainer: Any) -> None:
        started.append(trainer.start_epoch)
        if not trainer.resume:  # as Ultralytics does before it starts on several GPUs
            shutil.rmtree(trainer.save_dir)
            trainer.wdir.mkdir(parents=True)
        start(self, trainer)

    def interrupted(self: PhaseCallbacks, trainer: Any) -> None:
        keep(self, trainer)
        raise KeyboardInterrupt

    monkeypatch.setattr(PhaseCallbacks, "start", noting)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PhaseCallbacks, "keep_checkpoint", interrupted)
        make_train(SECTION, yolo, "digest", tmp_path / "none", output)
    assert (output / "phase-1" / "resume.pt").is_file()
    assert not (output / "weights.pt").exists()
    make_train(SECTION, yolo, "digest", tmp_path / "none", output)
    assert started == [0, 1]
    whole = tmp_path / "whole"
    whole.mkdir()
    make_train(SECTION, yolo, "digest", tmp_path / "none", whole)
    expected = weights(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(output).items())
    assert (output / "weights.pt").is_file()
    record = json.loads((output / "record.json").read_text())
    assert (record["phases"][0]["epochs_run"], record["phases"][0]["stopped_early"]) == (3, False)
    assert (output / "phase-1" / "results.csv").is_file()
    assert not (output / "phase-1" / "ultralytics").exists()
    assert (output / "curves.png").is_file()


@pytest.mark.timeout(120)
def test_the_callbacks_reach_the_processes_of_several_gpus(yolo: Path, tmp_path: Path) -> None:
    prepare_environment(tmp_path / "ultralytics", threads=1)
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils.dist import generate_ddp_file
    from ultralytics.utils.patches import torch_load

    folder = tmp_path / "phase-1"
    folder.mkdir()
    run = PhaseRun(SECTION, SECTION.schedule()[0], 1, 1, SECTION.model, yolo, folder, tmp_path / "log", tmp_path / "u")
    callbacks = PhaseCallbacks(threads=1, workers=0, channels_last=False, resume=folder / "resume.pt", label="train")
    with output_to(tmp_path / "log"):
        trainer = DetectionTrainer(overrides=ultralytics_arguments(run), _callbacks=callbacks.registered())
        callbacks._bar()  # it must not travel
        script = Path(generate_ddp_file(trainer))
    state = torch_load(script.with_suffix(".pt"), map_location="cpu")
    callbacks.close()
    script.unlink()
    script.with_suffix(".pt").unlink()
    owners = [getattr(function, "__self__", None) for function in state["callbacks"]["on_model_save"]]
    (arrived,) = [owner for owner in owners if isinstance(owner, PhaseCallbacks)]
    assert arrived.bar is None
    assert (arrived.resume, arrived.threads, arrived.label) == (folder / "resume.pt", 1, "train")
