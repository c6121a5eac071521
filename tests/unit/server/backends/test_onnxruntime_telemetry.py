"""A server tells nobody what it serves: ONNX Runtime's reports over the network are off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PROGRAM = """
import os, sys, time
from pathlib import Path
from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.onnxruntime import OnnxRuntimeLoader
OnnxRuntimeLoader().load(Path(sys.argv[1]), BackendOptions(instances=1, threads=1))
until_s = time.monotonic() + 60
while sys.argv[2] == "kept" and not any(path.is_file() for path in Path(os.environ["HOME"]).rglob("*")):
    assert time.monotonic() < until_s  # its own thread writes them, in its own time
    time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({}, False),  # reason: nobody asked for reports
        (
            {"ORT_DISABLE_TELEMETRY": "0"},
            True,
        ),  # reason: whoever runs the server asked for them; shows that the check can fail
    ],
)
def test_nothing_of_this_machine_is_kept_for_reports(tmp_path: Path, said: dict[str, str], kept: bool) -> None:
    model = ROOT / "model_repository" / "garments_onnx" / "1" / "model.onnx"
    environment = {name: text for name, text in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / ".cache"),
        "https_proxy": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model), "kept" if kept else "none"],
        env=environment | said,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "elemetry" not in done.stderr
    assert any(path.is_file() for path in tmp_path.rglob("*")) is kept
