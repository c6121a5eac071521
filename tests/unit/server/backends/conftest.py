"""Tiny real artefacts, made here: each adds 1 to a tensor, or looks like a YOLO detector of three classes."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.export import Dim

METADATA: dict[str, Any] = {
    "description": "a detector's shape, with random weights",
    "version": "8.4",
    "task": "detect",
    "stride": 32,
    "batch": 1,
    "imgsz": [64, 96],
    "names": {0: "vest", 1: "skirt", 2: 'it\'s a "sling"'},
    "args": {"dynamic": True, "nms": None},
    "channels": 3,
    "end2end": False,
}
WEIGHTS = np.random.default_rng(7).normal(0, 0.02, (7, 3, 32, 32)).astype(np.float32)

Maker = Callable[[Path], Path]
"""Writes an artefact into a folder, and says where."""


def save_onnx(path: Path, nodes: list, inputs: list, outputs: list, weights: list, metadata: dict) -> Path:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
    onnx.save(model, path)
    return path


def onnx_adder(folder: Path, rows: int | str = "batch") -> Path:
    value = helper.make_tensor_value_info
    return save_onnx(
        folder / "model.onnx",
        [helper.make_node("Add", ["x", "one"], ["y"])],
        [value("x", TensorProto.FLOAT, [rows, 4])],
        [value("y", TensorProto.FLOAT, [rows, 4])],
        [numpy_helper.from_array(np.ones(1, np.float32), "one")],
        {},
    )


def onnx_detector(folder: Path) -> Path:
    value = helper.make_tensor_value_info
    return save_onnx(
        folder / "model.onnx",
        [
            helper.make_node("Conv", ["images", "w"], ["cells"], strides=[32, 32], kernel_shape=[32, 32]),
            helper.make_node("Reshape", ["cells", "shape"], ["output0"]),
        ],
        [value("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [value("output0", TensorProto.FLOAT, ["batch", 7, "anchors"])],
        [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(np.array([0, 7, -1]), "shape")],
        METADATA,
    )


def _as_openvino(source: Path, folder: Path, *, nameless: bool) -> Path:
    model = ov.Core().read_model(source)
    if nameless:
        model.inputs[0].set_names({"x.1"})
        model.outputs[0].set_names(set())
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    source.unlink()
    return folder / "model.xml"


def openvino_adder(folder: Path, rows: int | str = "batch") -> Path:
    return _as_openvino(onnx_adder(folder, rows), folder, nameless=False)


def openvino_detector(folder: Path) -> Path:
    """Like Ultralytics' exporter: tensors without names, the metadata beside the model (JSON is YAML)."""
    written = {**METADATA, "names": {str(key): name for key, name in METADATA["names"].items()}}
    (folder / "metadata.yaml").write_text(json.dumps(written))
    return _as_openvino(onnx_detector(folder), folder, nameless=True)


class Adder(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


class Detector(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.from_numpy(WEIGHTS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(images, self.weights, stride=32).flatten(2)


def save_torchscript(module: torch.nn.Module, path: Path, metadata: dict | None = None) -> Path:
    extra = {} if metadata is None else {"config.txt": json.dumps(metadata)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module.eval()), path, _extra_files=extra)
    return path


def torchscript_adder(folder: Path) -> Path:
    return save_torchscript(Adder(), folder / "model.pt")


def torchscript_detector(folder: Path) -> Path:
    return save_torchscript(Detector(), folder / "model.pt", METADATA)


def program_detector(folder: Path) -> Path:
    dynamic = {0: Dim("batch"), 2: 32 * Dim("rows"), 3: 32 * Dim("columns")}
    program = torch.export.export(Detector().eval(), (torch.zeros(2, 3, 64, 96),), dynamic_shapes=(dynamic,))
    torch.export.save(program, folder / "model.pt2", extra_files={"config.txt": json.dumps(METADATA)})
    return folder / "model.pt2"


DETECTORS: dict[str, Maker] = {
    "onnxruntime": onnx_detector,
    "openvino": openvino_detector,
    "pytorch": torchscript_detector,
    "pytorch/export": program_detector,
}


@pytest.fixture
def make() -> Callable[..., Path]:
    """Makes an artefact by the name of its function in this file."""

    def _make(name: str, folder: Path, **options: object) -> Path:
        return globals()[name](folder, **options)

    return _make


@pytest.fixture
def save_module() -> Callable[..., Path]:
    """Writes any PyTorch module as a TorchScript archive."""
    return save_torchscript


@pytest.fixture(params=sorted(DETECTORS))
def artefact_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of artefact in turn."""
    return request.param


@pytest.fixture
def backend_name(artefact_kind: str) -> str:
    """The backend that loads `artefact_kind`."""
    return artefact_kind.partition("/")[0]


@pytest.fixture
def detector(artefact_kind: str, tmp_path: Path) -> Path:
    """The tiny detector of that kind."""
    return DETECTORS[artefact_kind](tmp_path)


@pytest.fixture
def expected() -> Callable[[np.ndarray], np.ndarray]:
    """What the tiny detector answers to images (batch, 3, h, w)."""

    def _expected(images: np.ndarray) -> np.ndarray:
        batch, _, height, width = images.shape
        cells = images.reshape(batch, 3, height // 32, 32, width // 32, 32)
        return np.einsum("bchiwj,ocij->bohw", cells, WEIGHTS, optimize=True).reshape(batch, 7, -1)

    return _expected
