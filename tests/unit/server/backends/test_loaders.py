"""Which backends there are, and by which names."""

import subprocess
import sys
from pathlib import Path

import pytest

from pasarela_server.backends import BackendOptions, load_backend, loaders
from pasarela_server.errors import InvalidModel


def test_the_backends_and_their_files() -> None:
    known = {name: loader.artefact for name, loader in loaders().items()}
    assert known == {"onnxruntime": "model.onnx", "openvino": "model.xml", "pytorch": "model.pt"}


def test_an_unknown_backend_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="'tensorrt' is unknown; known are onnxruntime, openvino, pytorch"):
        load_backend("tensorrt", tmp_path / "model.plan", BackendOptions(1, 1))


def test_knowing_the_backends_imports_no_framework() -> None:
    code = (
        "import sys; from pasarela_server.backends import loaders; loaders();"
        "print([name for name in ('torch', 'onnxruntime', 'openvino', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_openvino_reports_nothing_over_the_network() -> None:
    code = (
        "import sys; from pasarela_server.backends.openvino import _import_openvino; _import_openvino();"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')], 'openvino' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"
