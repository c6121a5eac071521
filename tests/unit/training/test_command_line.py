import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pasarela_training.__main__ import main
from pasarela_training.cli import STAGES
from pasarela_training.errors import PublicationRefused, TrainingError
from pasarela_training.pipeline import Pipeline

CONFIG = "workspace: {folder}/runs\ndataset:\n  source: {folder}/data\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return str(path)


@pytest.mark.parametrize("command", ["", "synthesize", *STAGES])
def test_help_explains_and_shows_a_command_to_type(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"] if command else ["--help"])
    assert stopped.value.code == 0
    assert f"pasarela-training {command or 'run'} --config" in capsys.readouterr().out


@pytest.mark.parametrize("command", STAGES)
def test_every_stage_is_a_method_of_the_pipeline(command: str) -> None:
    assert callable(getattr(Pipeline, command))


def test_hyperparameters_are_not_taken_from_the_command_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--config", config, "--epochs", "3"])
    assert stopped.value.code == 2
    assert "--epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (TrainingError("coco: no image"), 1, "pasarela-training: coco: no image"),  # reason: a stage failed
        (PublicationRefused("publish: refused"), 1, "pasarela-training: publish: refused"),  # reason: by the figures
        (OSError(28, "No space left on device"), 1, "No space left"),  # reason: the machine, not the program
        (KeyboardInterrupt(), 130, "pasarela-training: stopped; the same command goes on from here"),  # reason: Ctrl-C
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    line: str,
) -> None:
    def fail(self: Pipeline) -> str:
        raise raised

    monkeypatch.setattr(Pipeline, "coco", fail)
    assert main(["coco", "--config", config]) == code
    error = capsys.readouterr().err
    assert line in error
    assert len(error.splitlines()) == 1


def test_a_bad_configuration_is_exit_code_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_a_dataset_that_is_not_there_says_what_to_do(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--config", config]) == 1
    assert "add a `synthesize:` block" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--config, or both --images and --output"),  # reason: nothing was said
        (["--images", "3"], "--output"),  # reason: where to?
        (["--images", "0", "--output", "x"], "--images"),  # reason: no image is no dataset
        (["--images", "3", "--config", "{config}"], "one or the other"),  # reason: two masters
        (["--config", "{config}"], "no `synthesize:` block"),  # reason: nothing to draw
    ],
)
def test_synthesize_says_what_it_needs(
    config: str, arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["synthesize", *(argument.format(config=config) for argument in arguments)]) == 2
    assert part in capsys.readouterr().err


def test_a_dataset_is_drawn_without_a_configuration_and_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "drawn"
    command = ["synthesize", "--images", "2", "--seed", "3", "--output", str(output)]
    assert main(command) == 0
    assert len(list((output / "train" / "image").iterdir())) == 2
    assert main(command) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["synthesize", "--images", "3", "--output", str(output)]) == 1
    assert "another synthetic dataset" in capsys.readouterr().err
    assert len(list((output / "train" / "image").iterdir())) == 2


@pytest.mark.timeout(300)
def test_ctrl_c_stops_with_one_line_and_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    output = tmp_path / "drawn"
    command = [sys.executable, "-m", "pasarela_training", "synthesize", "--images", "99999", "--output", str(output)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not any(tmp_path.rglob("*.jpg")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, error = process.communicate()
    assert process.returncode == 130
    assert error.splitlines() == ["pasarela-training: stopped; the same command goes on from here"]
    assert not output.exists()
