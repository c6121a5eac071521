"""What a start does first, and what it leaves for later."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from pasarela_server.app import _freeze_memory
from pasarela_server.backends.loaders import loaders
from pasarela_server.backends.openvino import OpenVinoLoader
from pasarela_server.config.command_line import parse_command_line
from pasarela_server.errors import BackendMissing
from pasarela_server.loading import LoadingModels, first_loader, prepare
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


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param((), "onnxruntime", id="the first of all models"),
        pytest.param(
            ("--model-control-mode", "explicit", "--load-model", "b"), "openvino", id="of those that are named"
        ),
        pytest.param(("--model-control-mode", "explicit"), None, id="none is named"),
        pytest.param(("--isolation", "process"), "nobody asked", id="in processes of their own they need nothing here"),
    ],
)
def test_a_start_imports_it_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], expected: str | None
) -> None:
    for file in ("a/1/model.onnx", "b/1/model.xml"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    events: list[str | None] = []
    monkeypatch.setattr("pasarela_server.loading.prepare", lambda loader: events.append(loader and loader.name))
    monkeypatch.setattr("pasarela_server.loading.threading.Thread.start", lambda _: events.append("loads"))

    LoadingModels(parse_command_line(["--model-repository", str(tmp_path), *flags], {})).start()

    assert events == (["loads"] if expected == "nobody asked" else [expected, "loads"])


def test_until_then_there_are_no_threads_and_no_collector(tmp_path: Path) -> None:
    code = (
        "import gc, os, sys; from pasarela_server.__main__ import main; ended = main(sys.argv[1:]);"
        "print(ended, 'numpy' in sys.modules, len(os.listdir('/proc/self/task')), gc.isenabled())"
    )
    flags = ["--model-repository", str(tmp_path / "absent"), "--grpc-address", "127.0.0.1", "--grpc-port", "0"]
    command = [sys.executable, "-c", code, *flags, "--metrics-port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["1", "True", "1", "False"]
    assert "does not exist" in done.stderr


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
