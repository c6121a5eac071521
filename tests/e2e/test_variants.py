"""`make variants` as a person runs it, short, on networks that take no time."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.variants.__main__ import main
from tests.tiny_models import write_detector

ROOT = Path(__file__).parents[2]
SHORT = ["--rounds", "2", "--seconds", "0.3", "--clients", "2"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two detectors, a detection model over one of them, and one that cannot be loaded."""
    repository = tmp_path_factory.mktemp("variants")
    for name in ("tiny_a", "tiny_b"):
        write_detector(repository / name / "1", ("vest", "skirt"))
    (repository / "shown").mkdir()
    (repository / "shown" / "config.pbtxt").write_text(
        'backend: "detection"\nparameters { key: "model" value { string_value: "tiny_a" } }\n'
    )
    (repository / "broken" / "1").mkdir(parents=True)
    (repository / "broken" / "1" / "model.onnx").write_text("this is no network")
    return repository


def command(repository: Path, output: Path, *flags: str) -> list[str]:
    line = [sys.executable, "-m", "loadtest.variants", "--model-repository", str(repository), "--output", str(output)]
    return [*line, *flags]


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments),  # type: ignore[arg-type]
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(300)  # eight servers, one after the other
def test_every_variant_has_its_row_and_the_page_says_which_to_run(tiny: Path, tmp_path: Path) -> None:
    done = run(tiny, tmp_path, *SHORT, "--judge", "8")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "variants.json").read_text())
    assert told["complete"] is True
    assert told["judged_images"] == 8
    assert str(Path.home()) not in json.dumps(told)
    by_name = {one["name"]: one for one in told["variants"]}
    assert list(by_name) == ["broken", "tiny_a", "tiny_b"]
    assert "cannot be loaded" in by_name["broken"]["problem"]
    assert by_name["broken"]["rounds"] == []
    assert by_name["tiny_a"]["serves"] == ["shown"]
    for name in ("tiny_a", "tiny_b"):
        one = by_name[name]
        assert one["problem"] == ""
        assert "ONNX Runtime" in one["description"]
        assert one["first_ready_s"] > 0
        assert 0 <= one["map50_95"] <= one["map50"] <= 1
        assert len(one["rounds"]) == 2
        for taken in one["rounds"]:
            assert taken["memory_loaded_mb"] > 10
            assert taken["alone_p50_ms"] <= taken["alone_p99_ms"]
            assert taken["saturated_per_second"] > 0
    page = (tmp_path / "variants.html").read_text()
    assert "Run tiny_" in page
    assert "broken was left out:" in page
    assert "Run tiny_" in done.stdout


def test_ctrl_c_leaves_a_page_with_what_was_measured(tiny: Path, tmp_path: Path) -> None:
    flags = ["--rounds", "1000", "--seconds", "0.2", "--no-map", "--models", "tiny_a"]
    with subprocess.Popen(
        command(tiny, tmp_path, *flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        seen = ""
        while "round 2" not in seen:
            seen += process.stderr.read(1)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    told = json.loads((tmp_path / "variants.json").read_text())
    assert told["complete"] is False
    assert told["variants"][0]["rounds"]
    assert "Cut short." in (tmp_path / "variants.html").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--models", "hats"], "no model hats", id="a variant that is not there"),
        pytest.param(["--rounds", "0"], "expected 1 or more", id="no rounds"),
        pytest.param(["--seconds", "0"], "expected more than 0", id="no time"),
        pytest.param(["--images", str(ROOT / "docs")], "no JPEG images in", id="no images"),
        pytest.param(["--model-repository", "nowhere"], "does not exist", id="no repository"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_started(
    flags: list[str], message: str, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--model-repository", str(tiny), "--output", str(tmp_path / "out"), *flags])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_repository_in_which_nothing_runs_fails_and_says_why(tiny: Path, tmp_path: Path) -> None:
    done = run(tiny, tmp_path, *SHORT, "--no-map", "--models", "broken")
    assert done.returncode == 1
    assert "No variant could be measured." in done.stdout
    assert "cannot be loaded" in (tmp_path / "variants.html").read_text()
