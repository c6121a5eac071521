"""`make benchmark`, short."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_run_prints_a_row_for_each_model(repository: Path, sample_image: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "loadtest.benchmark", "--rounds", "1", "--seconds", "0.2", "--json", str(figures)]
    command += ["--model-repository", str(repository), "--images", str(sample_image.parent)]
    done = subprocess.run(
        [*command, "--models", "garments_onnx"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| garments_onnx \|", done.stdout, re.MULTILINE)
    assert len(rows) == 2, "throughput and latency"
    taken = json.loads(figures.read_text())["garments_onnx"]
    assert {"engine", "pipeline", "server_1", "server_4", "server_16"} <= set(taken)
    assert all(values and values[0] > 0 for values in taken.values())


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest.benchmark", "--images", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, str(tmp_path) in done.stderr) == (1, True)
