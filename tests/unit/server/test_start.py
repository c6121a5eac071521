"""What a start does first, and what it leaves for later."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from pasarela_server.app import _freeze_memory
from pasarela_server.backends.loaders import loaders
from pasarela_server.backends.openvino import OpenVinoLoader
from pasarela_server.errors import BackendMissing
from pasarela_server.loading import first_loader, prepare
from pasarela_server.repository.scan import scan


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"m/1/model.xml": ""}, "openvino", id="the file tells the framework"),
        pytest.param({"a/1/model.onnx": "", "b/1/model.xml": ""}, "onnxruntime", id="the first model by name"),
        pytest.param({"m/1/model.xml": "", "m/2/model.onnx": ""}, "onnxruntime", id="its newest version"),
        pytest.param({"a/config.pbtxt": "", "b/1/model.pt": ""}, "pytorch", id="a model without versions loads nothing"),
        pytest.param({"m/1/best.engine": ""}, None, id="no name that a framework has"),
        pytest.param({"a/1/model.xml": "", "a/config.pbtxt": 'key: "isolation"', "b/1/model.onnx": ""}, "onnxruntime",
                     id="in a process of its own it needs nothing here"),
        pytest.param({}, None, id="no models"),
    ],
)  # fmt: skip
def test_the_framework_that_is_imported_first(tmp_path: Path, files: dict[str, str], expected: str | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    first = first_loader(scan(tmp_path, allow_empty=True), loaders())

    assert (None if first is None else first.name) == expected


@pytest.mark.parametrize(
    "error",
    [
        BackendMissing("not installed"),  # reason: the usual way
        OSError("libcudart.so.12: cannot open shared object file"),  # reason: PyTorch's libraries do not fit
        RuntimeError("numpy is too old"),  # reason: some frameworks look at others while they are imported
    ],
)
def test_a_framework_that_cannot_be_imported_ends_no_start(error: Exception) -> None:
    loader = mock.create_autospec(OpenVinoLoader, instance=True)
    loader.prepare.side_effect = error
    prepare(loader)
    loader.prepare.assert_called_once_with()


def test_what_loads_models_waits_for_nothing_else() -> None:
    later = ("grpc", "PIL", "prometheus_client", "torch", "onnxruntime", "openvino")
    code = f"import sys, pasarela_server.loading; print([name for name in {later} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_first_png_finds_its_decoder_there() -> None:
    code = (
        "import sys, pasarela_server.app, pasarela_server.frontends.front; print('PIL.PngImagePlugin' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_garbage_is_collected_again_once_everything_is_imported() -> None:
    gc.disable()
    try:
        _freeze_memory()
        assert gc.isenabled()
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
        gc.enable()
