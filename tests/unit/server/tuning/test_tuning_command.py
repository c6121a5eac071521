"""`pasarela-server tune`: what is refused before anything is measured, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from pasarela_server.__main__ import main
from pasarela_server.errors import InvalidModel
from pasarela_server.tuning.candidate import BASELINE
from pasarela_server.tuning.report import Report
from pasarela_server.tuning.search import Found
from pasarela_server.tuning.tune import Tuned, find_raw_model, write_config
from tests.tiny_models import write_onnx
from tests.unit.server.tuning.tuned import subject


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A raw model 'm', detection models over it, over nothing and over each other, and a model without versions."""
    repository = tmp_path / "repository"
    write_onnx(repository / "m" / "1", 3)
    write_onnx(repository / "m" / "2", 4)
    for name, config in {
        "d": 'backend: "detection" parameters { key: "model" value { string_value: "m" } }',
        "d_of_nothing": 'backend: "detection" parameters { key: "model" value { string_value: "gone" } }',
        "d_of_d": 'backend: "detection" parameters { key: "model" value { string_value: "d" } }',
        "d_unnamed": 'backend: "detection"',
        "empty": "max_batch_size: 2",
        "typo": "max_bach_size: 2",
    }.items():
        (repository / name).mkdir()
        (repository / name / "config.pbtxt").write_text(config)
    (repository / "broken" / "1").mkdir(parents=True)
    (repository / "broken" / "1" / "model.onnx").write_bytes(b"no model")
    return repository


WRONG_LINES = [
    ([], "--model", "the model is needed"),
    (["--model", "m", "--latency-target", "50"], "--latency-target: expected a time with its unit", "no unit"),
    (["--model", "m", "--budget", "soon"], "--budget: expected a time with its unit, like 50ms", "no time"),
    (["--model", "m", "--clients", "1,none"], "--clients: expected a whole number", "no number"),
    (["--model", "m", "--clients", "0"], "--clients: expected a whole number from 1", "nobody"),
    (["--model", "m", "--images", "/nowhere"], "--images: there is no folder '/nowhere'", "no folder"),
    (["--model", "m", "--images", ".", "--tensors"], "exclude each other", "two kinds of requests"),
    (["--model", "m", "--cpu-threads", "0"], "--cpu-threads: expected a whole number from 1", "no core"),
    (["--model", "m", "--output", "{root}/results"], "would take what lies in the model", "results in the repository"),
    (["m"], "required: --model", "a name without its flag"),
    (["--model", "m", "--latency", "50ms"], "unrecognized arguments: --latency", "half a flag"),
]


@pytest.mark.parametrize(("line", "said", "reason"), WRONG_LINES, ids=[row[2] for row in WRONG_LINES])
def test_a_wrong_command_line(
    root: Path, capsys: pytest.CaptureFixture[str], line: list[str], said: str, reason: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tune", "--model-repository", str(root), *(word.format(root=root) for word in line)])

    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in error, reason
    assert error.count("\n") == 1


WRONG_MODELS = [
    ("n", "there is no model 'n'", "unknown"),
    ("d_of_nothing", "there is no model 'gone'", "runs one that is not there"),
    ("d_of_d", "runs 'd', which is no raw model", "runs one that runs another"),
    ("d_unnamed", "does not name it", "runs nothing"),
    ("empty", "model 'empty' has no version", "nothing to load"),
    ("typo", "did you mean 'max_batch_size'?", "cannot be read"),
    ("broken", "model.onnx cannot be loaded", "no model file"),
]


@pytest.mark.parametrize(("model", "said", "reason"), WRONG_MODELS, ids=[row[2] for row in WRONG_MODELS])
def test_a_model_that_cannot_be_tuned(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, said: str, reason: str
) -> None:
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    command = ["tune", "--model", model, "--model-repository", str(root), "--output", str(tmp_path / "kept"), "--write"]

    assert main(command) == 1

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("pasarela-server tune: error: ")
    assert said in last, reason
    assert {file: file.read_bytes() for file in root.rglob("*") if file.is_file()} == before
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_repository_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tune", "--model", "m", "--model-repository", str(tmp_path / "none"), "--output", str(tmp_path)]
    assert main(command) == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_folder_for_results_that_cannot_be_made(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    command = ["tune", "--model", "m", "--model-repository", str(root), "--output", str(tmp_path / "file" / "kept")]
    assert main(command) == 1
    assert "file/kept: " in capsys.readouterr().err


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tune", "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "pasarela-server tune --model garments --latency-target 50ms --images photos --write" in shown
    for flag in ("--budget", "--precisions", "--clients", "--resume", "--output", "--cpu-threads", "--tensors"):
        assert flag in shown


def test_a_detection_model_leads_to_its_raw_model(root: Path) -> None:
    said: list[str] = []
    desired, version = find_raw_model(root, "d", said.append)
    assert (desired.name, version) == ("m", 2)
    assert said == ["'d' runs the raw model 'm': that one is tuned"]


def test_the_version_that_the_policy_serves_is_tuned(root: Path) -> None:
    (root / "m" / "config.pbtxt").write_text("version_policy { specific { versions: 1 } }")
    assert find_raw_model(root, "m", lambda _: None)[1] == 1


def tuned(file: Path, before: str, after: str) -> Tuned:
    report = Report(
        model="m",
        subject=subject(),
        conditions={},
        target_ms=None,
        found=Found(None, {BASELINE: ()}),
        remarks=(),
        before=before,
        after=after,
    )
    return Tuned(report, file, "m/config.pbtxt", ())


def test_a_configuration_that_is_not_there_yet_is_written(root: Path) -> None:
    file = root / "m" / "config.pbtxt"
    write_config(tuned(file, "", "instance_group { count: 1 }\n"))
    assert file.read_text() == "instance_group { count: 1 }\n"
    assert find_raw_model(root, "m", lambda _: None)[0].written.instance_group[0].count == 1


def test_what_somebody_wrote_meanwhile_is_not_overwritten(root: Path) -> None:
    file = root / "m" / "config.pbtxt"
    file.write_text("max_batch_size: 2\n")
    with pytest.raises(InvalidModel, match=r"m/config\.pbtxt was changed while the model was tuned"):
        write_config(tuned(file, "", "instance_group { count: 1 }\n"))
    assert file.read_text() == "max_batch_size: 2\n"
