"""Which phases are trained, and from what, when a run is repeated, interrupted or changed; without Ultralytics."""

from pathlib import Path
from typing import Any

import pytest

from pasarela_training.config import TrainSection
from pasarela_training.errors import TrainingError
from pasarela_training.train import stage as train_stage
from pasarela_training.train.phase import PhaseRun
from pasarela_training.train.stage import make_train, model_fingerprint, train_recipe


class Trainer:
    """Stands in for `train_phase`: writes weights that say where they came from."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, str]] = []
        self.interrupt_in: int | None = None

    def __call__(self, run: PhaseRun) -> None:
        if run.number == self.interrupt_in:
            (run.folder / "resume.pt").write_text("half")
            raise KeyboardInterrupt
        start = Path(run.start).read_text() if run.start.endswith(".pt") else run.start
        self.trained.append((run.number, start))
        (run.folder / "weights.pt").write_text(f"{start}>{run.parameters.imgsz}")


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    fake = Trainer()
    monkeypatch.setattr(train_stage, "train_phase", fake)
    return fake


def section(*phases: dict[str, Any], **changes: Any) -> TrainSection:
    return TrainSection.model_validate({"phases": phases or [{"imgsz": 64}, {"imgsz": 96}], **changes})


def train(tmp_path: Path, chosen: TrainSection, dataset: str = "d", output: str = "new") -> str:
    folder = tmp_path / output
    folder.mkdir(exist_ok=True)
    make_train(chosen, tmp_path / "yolo", dataset, tmp_path / "old", folder)
    return (folder / "weights.pt").read_text()


def test_each_phase_starts_from_the_weights_of_the_one_before(trainer: Trainer, tmp_path: Path) -> None:
    assert train(tmp_path, section()) == "yolov9t.yaml>64>96"
    assert trainer.trained == [(1, "yolov9t.yaml"), (2, "yolov9t.yaml>64")]


def test_after_an_interruption_finished_phases_are_skipped_and_the_other_one_finds_its_checkpoint(
    trainer: Trainer, tmp_path: Path
) -> None:
    trainer.interrupt_in = 2
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, section())
    assert (tmp_path / "new" / "phase-2" / "resume.pt").is_file()
    trainer.interrupt_in = None
    train(tmp_path, section())
    assert [number for number, _ in trainer.trained] == [1, 2]


def test_a_checkpoint_of_another_recipe_is_not_resumed(trainer: Trainer, tmp_path: Path) -> None:
    trainer.interrupt_in = 2
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, section())
    trainer.interrupt_in = None
    train(tmp_path, section({"imgsz": 64}, {"imgsz": 128}))
    assert not (tmp_path / "new" / "phase-2" / "resume.pt").exists()


@pytest.mark.parametrize(
    ("changed", "dataset", "trained_again"),
    [
        (section(), "d", []),  # reason: nothing changed
        (section({"imgsz": 64}, {"imgsz": 128}), "d", [2]),  # reason: the last phase changed
        (section({"imgsz": 64}, {"imgsz": 96}, {"imgsz": 128}), "d", [3]),  # reason: a phase was added
        (section({"imgsz": 64}), "d", []),  # reason: a phase was taken away
        (section({"imgsz": 32}, {"imgsz": 96}), "d", [1, 2]),  # reason: later phases rest on the first
        (section(seed=5), "d", [1, 2]),  # reason: another seed
        (section(), "other", [1, 2]),  # reason: another dataset
        (section(threads=1, workers=2, cache=False), "d", []),  # reason: where it runs decides nothing
    ],
)
def test_what_a_finished_training_saves_a_changed_one(
    trainer: Trainer, tmp_path: Path, changed: TrainSection, dataset: str, trained_again: list[int]
) -> None:
    train(tmp_path, section(), output="old")
    trainer.trained.clear()
    train(tmp_path, changed, dataset)
    assert [number for number, _ in trainer.trained] == trained_again
    expected = "yolov9t.yaml" + "".join(f">{phase.imgsz}" for phase in changed.schedule())
    assert (tmp_path / "new" / "weights.pt").read_text() == expected


def test_the_recipe_is_what_decides_the_weights() -> None:
    assert train_recipe(section(threads=2, device="0")) == train_recipe(section())
    assert train_recipe(section(seed=1)) != train_recipe(section())
    assert train_recipe(section(model="yolov9s.yaml")) != train_recipe(section())
    assert train_recipe(section(lr0=0.1)) != train_recipe(section())


def test_a_checkpoint_counts_by_its_contents(tmp_path: Path) -> None:
    one, other = tmp_path / "one.pt", tmp_path / "other.pt"
    one.write_text("weights")
    other.write_text("weights")
    assert model_fingerprint(str(one)) == model_fingerprint(str(other))


def test_a_missing_checkpoint_is_not_downloaded() -> None:
    with pytest.raises(TrainingError, match=r"no checkpoint yolov9t\.pt; nothing is downloaded"):
        model_fingerprint("yolov9t.pt")


@pytest.mark.parametrize("name", ["record.json", "curves.png"])
def test_weights_outlive_a_record_that_cannot_be_written(trainer: Trainer, tmp_path: Path, name: str) -> None:
    chosen = section({"imgsz": 64})
    folder = tmp_path / "new"
    (folder / name).mkdir(parents=True)
    (folder / "phase-1").mkdir()
    original = trainer.__call__

    def with_results(run: PhaseRun) -> None:
        original(run)
        (run.folder / "results.csv").write_text("epoch,time,train/box_loss,lr/pg0\n1,2,3,0.1\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_stage, "train_phase", with_results)
        summary = make_train(chosen, tmp_path / "yolo", "d", tmp_path / "old", folder)
    assert (folder / "weights.pt").read_text() == "yolov9t.yaml>64"
    assert "could not be written" in summary
