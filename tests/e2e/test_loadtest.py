"""The load test as a person runs it, and the figures it prints."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.images import ROOT, NoImages, load_images
from loadtest.summary import RequestSummary, format_summary


@pytest.fixture
def images(tmp_path: Path, sample_image: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(sample_image.read_bytes())
    (folder / "notes.txt").write_text("not an image")
    return folder


def command(*flags: object) -> list[str]:
    return [sys.executable, str(ROOT / "loadtest" / "run.py"), "--users", "4", *map(str, flags)]


def run(*flags: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(*flags), capture_output=True, text=True, check=False)


def test_a_short_run_starts_a_server_and_leaves_a_report(repository: Path, images: Path, tmp_path: Path) -> None:
    done = run("--run-time", "3s", "--model-repository", repository, "--images", images, "--reports", tmp_path / "r")
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = (tmp_path / "r").iterdir()
    assert str(report / "report.html") in done.stdout
    assert "StreamDetect garments" in (report / "report.html").read_text()
    assert (report / "requests_stats_history.csv").exists()
    stats = {entry["name"]: entry for entry in json.loads((report / "stats.json").read_text())}
    assert set(stats) == {"Detect garments", "StreamDetect garments"}
    for entry in stats.values():
        assert entry["num_requests"] > 0
        assert entry["num_failures"] == 0
        assert entry["total_content_length"] > 0
    assert "stopped" in (report / "server.log").read_text()


def test_failures_are_counted_and_told(server: Any, images: Path, tmp_path: Path) -> None:
    done = run(
        "--run-time", "1s", "--url", server.address, "--model", "hats", "--images", images, "--reports", tmp_path / "r"
    )
    assert done.returncode == 1
    (report,) = (tmp_path / "r").iterdir()
    stats = json.loads((report / "stats.json").read_text())
    assert {entry["name"] for entry in stats} == {"Detect hats", "StreamDetect hats"}
    assert all(entry["num_failures"] == entry["num_requests"] > 0 for entry in stats)
    assert "ModelNotFound" in (report / "report.html").read_text()


def test_ctrl_c_stops_the_load_and_the_server(repository: Path, images: Path, tmp_path: Path) -> None:
    flags = ("--run-time", "10m", "--model-repository", repository, "--images", images, "--reports", tmp_path / "r")
    with subprocess.Popen(command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "starting a server" in process.stdout.readline()
        assert "4 users for 10m" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    (report,) = (tmp_path / "r").iterdir()
    assert "stopped" in (report / "server.log").read_text()


def test_a_repository_that_is_not_there(images: Path, tmp_path: Path) -> None:
    done = run("--model-repository", tmp_path / "nothing", "--images", images, "--reports", tmp_path / "r")
    assert done.returncode == 3
    assert "nothing" in done.stderr
    assert "server.log" in done.stderr


def test_a_folder_without_images_is_wrong_usage(tmp_path: Path) -> None:
    done = run("--images", tmp_path, "--reports", tmp_path / "r")
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert not (tmp_path / "r").exists()


def test_images_are_the_pictures_of_the_folder(images: Path, sample_image: Path) -> None:
    assert load_images(images) == [sample_image.read_bytes()]


def test_no_images_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NoImages, match=str(tmp_path)):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("fraction", "time_ms"),
    [(0.5, 20), (0.51, 30), (0.9, 30), (0.99, 400), (1, 400)],
    ids=["half", "more than half", "nine of ten", "the slowest", "all"],
)
def test_percentiles_count_requests(fraction: float, time_ms: float) -> None:
    one = RequestSummary("Detect", 10, 0, 2.0, {400: 1, 10: 2, 20: 3, 30: 4})
    assert one.percentile_ms(fraction) == time_ms


def test_the_table_counts_only_successes_as_throughput() -> None:
    header, row = format_summary([RequestSummary("Detect m", 10, 4, 2.0, {10: 10})]).splitlines()
    assert header.split() == ["request", "done", "failed", "per", "second", "p50", "ms", "p95", "ms", "p99", "ms"]
    assert row.split() == ["Detect", "m", "6", "4", "3.0", "10", "10", "10"]
