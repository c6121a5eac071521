"""A server tells nobody what it serves: ONNX Runtime's reports over the network are off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PROGRAM = """
import os, sys
from pathlib import Path
from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.onnxruntime import OnnxRuntimeLoader
OnnxRuntimeLoader().load(Path(sys.argv[1]), BackendOptions(instances=1, threads=1))
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def loaded(home: Path, said: dict[str, str]) -> str:
    """Loads a model in a process whose home is this folder; what the engine was told about reports."""
    model = ROOT / "model_repository" / "garments_onnx" / "1" / "model.onnx"
    environment = {name: text for name, text in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model)],
        env=environment | said,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "elemetry" not in done.stderr
    return done.stdout.strip()


def test_nothing_of_this_machine_is_kept_for_reports(tmp_path: Path) -> None:
    assert loaded(tmp_path, {}) == "1"
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "said",
    [
        "0",  # reason: whoever runs the server asked for reports; whether any are written is the engine's affair
        "1",  # reason: asked for what holds anyway
    ],
)
def test_whoever_runs_the_server_decides(tmp_path: Path, said: str) -> None:
    assert loaded(tmp_path, {"ORT_DISABLE_TELEMETRY": said}) == said
