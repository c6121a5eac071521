import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pasarela_training.errors import TrainingError
from pasarela_training.stage import STAMP, Stage, read_stamp, run_stage

Make = Callable[[Path], str]


def stage(
    output: Path, make: Make, recipe: dict[str, object] | None = None, source: str = "a", resumable: bool = False
) -> Stage:
    return Stage("sample", output, recipe or {"seed": 1}, {"dataset": source}, make, resumable=resumable)


def write(content: str) -> Make:
    def make(folder: Path) -> str:
        (folder / "list.txt").write_text(content)
        return "made"

    return make


def never(folder: Path) -> str:
    raise AssertionError("made although it was up to date")


def test_a_stage_is_skipped_when_recipe_and_inputs_are_the_same(tmp_path: Path) -> None:
    said: list[str] = []
    first = run_stage(stage(tmp_path / "out", write("one")), said.append)
    second = run_stage(stage(tmp_path / "out", never), said.append)
    assert first == second
    assert said == ["sample: made", "sample: up to date (made)"]


@pytest.mark.parametrize(
    ("recipe", "source"),
    [
        ({"seed": 2}, "a"),  # reason: another recipe
        ({"seed": 1}, "b"),  # reason: another input
    ],
)
def test_a_stage_is_made_again_when_recipe_or_inputs_change(
    tmp_path: Path, recipe: dict[str, object], source: str
) -> None:
    run_stage(stage(tmp_path / "out", write("one")), print)
    run_stage(stage(tmp_path / "out", write("two"), recipe, source), print)
    assert (tmp_path / "out" / "list.txt").read_text() == "two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_stage_that_fails_leaves_the_earlier_output_whole(tmp_path: Path) -> None:
    def fail(folder: Path) -> str:
        (folder / "list.txt").write_text("half")
        raise TrainingError("the disk is full")

    run_stage(stage(tmp_path / "out", write("one")), print)
    with pytest.raises(TrainingError):
        run_stage(stage(tmp_path / "out", fail, {"seed": 2}), print)
    assert (tmp_path / "out" / "list.txt").read_text() == "one"
    assert stage(tmp_path / "out", never).up_to_date()


def test_what_an_interruption_left_is_no_output_and_is_thrown_away(tmp_path: Path) -> None:
    def interrupt(folder: Path) -> str:
        (folder / "rest.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(stage(tmp_path / "out", interrupt), print)
    assert not (tmp_path / "out").exists()
    run_stage(stage(tmp_path / "out", write("one")), print)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [STAMP, "list.txt"]


def test_a_resumable_stage_finds_what_an_interruption_left(tmp_path: Path) -> None:
    def interrupt(folder: Path) -> str:
        (folder / "rest.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(stage(tmp_path / "out", interrupt, resumable=True), print)
    run_stage(stage(tmp_path / "out", write("one"), resumable=True), print)
    assert (tmp_path / "out" / "rest.txt").read_text() == "half"


def test_what_no_stage_made_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.jpg").write_text("mine")
    with pytest.raises(TrainingError, match="did not make"):
        run_stage(stage(tmp_path / "out", write("one")), print)
    assert (tmp_path / "out" / "photo.jpg").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"stage": "sample"})])
def test_a_broken_stamp_is_no_stamp(tmp_path: Path, text: str) -> None:
    (tmp_path / STAMP).write_text(text)
    assert read_stamp(tmp_path) is None
