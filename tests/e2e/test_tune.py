"""`pasarela-server tune` from beginning to end, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import grpc
import pytest

from pasarela_proto import inference_pb2, inference_pb2_grpc
from tests.tiny_models import write_onnx

WAITS = """\
# written by hand
max_batch_size: 4
dynamic_batching { max_queue_delay_microseconds: 20000 }  # every request waits for others that never come
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model that would be fast if it did not wait."""
    repository = tmp_path / "repository"
    write_onnx(repository / "m" / "1", 3)
    (repository / "m" / "config.pbtxt").write_text(WAITS)
    return repository


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def command(root: Path, kept: Path, *flags: str) -> list[str]:
    return [
        sys.executable, "-m", "pasarela_server", "tune", "--model", "m", "--model-repository", str(root),
        "--output", str(kept), "--budget", "2s", "--clients", "1,2", "--cpu-threads", "2", *flags,
    ]  # fmt: skip


def run(root: Path, kept: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(root, kept, *flags), capture_output=True, text=True, check=False)


def record(kept: Path) -> Any:
    (file,) = kept.glob("tune-m-*.json")
    return json.loads(file.read_text())


def processes_with(mark: str) -> Iterator[Path]:
    """Processes that were started with this mark in their environment."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                yield process
        except OSError:
            continue


@pytest.mark.timeout(300)
def test_what_is_better_is_written_and_served(root: Path, kept: Path, start_server: Any) -> None:
    ended = run(root, kept, "--write")

    assert ended.returncode == 0, ended.stderr
    # The defaults merge nothing, so nobody waits.
    assert (root / "m" / "config.pbtxt").read_text() == (
        "# written by hand\nmax_batch_size: 4\n  # every request waits for others that never come\n"
    )
    assert "the server's defaults (2 instances of 1 thread): " in ended.stdout
    assert "-dynamic_batching { max_queue_delay_microseconds: 20000 }" in ended.stdout
    assert [file.name for file in (root / "m").iterdir() if file.is_file()] == ["config.pbtxt"]

    outcome = record(kept)["outcome"]
    assert outcome["choice"] == {"merge": {"on": False, "preferred_rows": 0, "delay_us": 0}}
    (ratios,) = outcome["ratios"]
    assert len(ratios["to_baseline"]) == 7
    assert min(ratios["to_baseline"]) > 1
    (picture,) = kept.glob("tune-m-*.svg")
    assert ET.parse(picture).getroot().tag.endswith("svg")
    (page,) = kept.glob("tune-m-*.md")
    assert ended.stdout.startswith(page.read_text().split("\n![")[0].rstrip())

    with start_server(root) as server, grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        config = stub.ModelConfig(inference_pb2.ModelConfigRequest(name="m")).config
        assert not config.HasField("dynamic_batching")
        assert config.max_batch_size == 4


@pytest.mark.timeout(300)
def test_a_tuning_that_was_stopped_goes_on_and_ends_the_same(root: Path, kept: Path) -> None:
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        command(root, kept, "--write"), stderr=subprocess.PIPE, text=True, env={**os.environ, "TUNE_TEST": mark}
    ) as process:
        assert process.stderr is not None
        slices = 0
        for line in process.stderr:
            slices += line.startswith("[")
            if slices == 5:  # the first round has four: two loads, the candidate and things as they are
                break
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()

    assert process.returncode == 130, said
    assert "stopped; what was measured is kept" in said
    assert list(processes_with(mark)) == []
    assert (root / "m" / "config.pbtxt").read_text() == WAITS
    stopped = record(kept)
    assert stopped["outcome"] is None
    assert [sitting["name"] for sitting in stopped["sittings"]] == ["round 0"]

    ended = run(root, kept, "--resume")

    assert ended.returncode == 0, ended.stderr
    assert "goes on with 1 measurement" in ended.stderr
    assert "nothing was written" in ended.stdout
    assert (root / "m" / "config.pbtxt").read_text() == WAITS
    whole = record(kept)
    assert whole["sittings"][0] == stopped["sittings"][0]
    assert len(whole["sittings"]) == 8

    again = run(root, kept, "--resume", "--write")

    assert again.returncode == 0, again.stderr
    assert not any(line.startswith("[") for line in again.stderr.splitlines()), "nothing is measured again"
    assert "dynamic_batching" not in (root / "m" / "config.pbtxt").read_text()


@pytest.mark.timeout(300)
def test_a_target_that_nothing_keeps_is_said_and_nothing_is_written(root: Path, kept: Path) -> None:
    ended = run(root, kept, "--write", "--latency-target", "1us")

    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert "nothing keeps p99 at 0.001 ms; the lowest that was reached is " in last
    assert (root / "m" / "config.pbtxt").read_text() == WAITS
    assert record(kept)["outcome"]["reached"] is False
