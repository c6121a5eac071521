"""Which file of a version's folder is the model: whatever an exporter leaves there, under whatever name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.config.artefacts import Candidate, find_artefact
from pasarela_server.errors import InvalidModel

USUAL = {"onnxruntime": "model.onnx", "openvino": "model.xml", "pytorch": "model.pt"}
OPENVINO_FOLDER = {"best_openvino_model/best.xml", "best_openvino_model/best.bin", "best_openvino_model/metadata.yaml"}
LITTER = {".DS_Store", ".git/config", "manifest.json", "labels.txt", "README.md", "metadata.yaml", "MODEL_CARD.md"}


def find(files: set[str], backend: str | None = None, written: str = "") -> Candidate:
    return find_artefact(files, USUAL, backend, written, "model 'garments'")


@pytest.mark.parametrize(
    ("files", "path", "backend"),
    [
        pytest.param({"model.onnx"}, "model.onnx", "onnxruntime", id="the usual name"),
        pytest.param({"best.onnx"}, "best.onnx", "onnxruntime", id="as the exporter left it"),
        pytest.param({"best.torchscript"}, "best.torchscript", "pytorch", id="TorchScript under its own ending"),
        pytest.param({"model.pt2"}, "model.pt2", "pytorch", id="torch.export"),
        pytest.param({"best.pt2"}, "best.pt2", "pytorch", id="torch.export under another name"),
        pytest.param({"best.xml", "best.bin", "metadata.yaml"}, "best.xml", "openvino", id="what the folder holds"),
        pytest.param(OPENVINO_FOLDER, "best_openvino_model/best.xml", "openvino", id="the whole folder dropped in"),
        pytest.param({"model.onnx", "best.onnx"}, "model.onnx", "onnxruntime", id="the usual name wins"),
        pytest.param({"best.pt", "best.onnx"}, "best.onnx", "onnxruntime", id="the checkpoint beside its export"),
        pytest.param({"best.pt"}, "best.pt", "pytorch", id="a .pt alone: the backend looks into it"),
        pytest.param({"best.engine", "best.onnx"}, "best.onnx", "onnxruntime", id="beside what is not served"),
        pytest.param({"best_saved_model/best.onnx", "best.onnx"}, "best.onnx", "onnxruntime", id="a by-product"),
    ],
)
def test_the_model_file_is_found(files: set[str], path: str, backend: str) -> None:
    assert find(files) == Candidate(path, backend)
    assert find(files | LITTER) == Candidate(path, backend)


@pytest.mark.parametrize(
    ("files", "backend", "written", "path"),
    [
        pytest.param({"best.onnx", "best.xml"}, "openvino", "", "best.xml", id="the backend decides"),
        pytest.param({"best.onnx"}, "openvino", "", "best.onnx", id="OpenVINO reads ONNX where it is asked to"),
        pytest.param({"a.onnx", "b.onnx"}, None, "b.onnx", "b.onnx", id="the name decides"),
        pytest.param({"a.onnx", "b.onnx"}, "openvino", "b.onnx", "b.onnx", id="both"),
        pytest.param(OPENVINO_FOLDER, None, "best_openvino_model/best.xml", "best_openvino_model/best.xml", id="a folder"),
        pytest.param(set(), "pytorch", "", "model.pt", id="nothing there: the backend says that it is missing"),
    ],
)  # fmt: skip
def test_what_is_written_decides(files: set[str], backend: str | None, written: str, path: str) -> None:
    assert find(files, backend, written).path == path


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({"a.onnx", "b.onnx"}, "a.onnx (onnxruntime) and b.onnx (onnxruntime); leave one", id="two"),
        pytest.param({"a.onnx"} | OPENVINO_FOLDER, 'default_model_filename: "a.onnx"', id="a file and a folder"),
        pytest.param({"model.pt", "model.pt2"}, "model.pt (pytorch) and model.pt2 (pytorch)", id="both of PyTorch"),
        pytest.param({"best.engine"}, "best.engine is a TensorRT engine", id="TensorRT"),
        pytest.param({"best.tflite"}, "best.tflite is a TensorFlow Lite model", id="TFLite"),
        pytest.param({"best_saved_model/saved_model.pb"}, "best_saved_model is a TensorFlow SavedModel", id="folder"),
        pytest.param({"saved_model.pb", "variables/x"}, "saved_model.pb is a TensorFlow SavedModel", id="its content"),
        pytest.param({"best.mlpackage/Manifest.json"}, "best.mlpackage is a Core ML model", id="Core ML"),
        pytest.param({"best.pth"}, "best.pth is a PyTorch checkpoint, which is a pickle and never loaded", id="pth"),
        pytest.param({"best.safetensors"}, "weights without the network", id="safetensors"),
        pytest.param({"best_ncnn_model/model.ncnn.param"}, "best_ncnn_model is an NCNN model", id="NCNN"),
        pytest.param({"best_paddle_model/model.pdmodel"}, "best_paddle_model is a PaddlePaddle model", id="Paddle"),
        pytest.param({"best_qnn.onnx"}, "best_qnn.onnx is an ONNX file compiled for Qualcomm", id="no plain ONNX"),
        pytest.param({"best.bin", "metadata.yaml"}, "put the .xml of the OpenVINO export beside it", id="half a pair"),
        pytest.param(LITTER, "holds no model file; put one of these there: model.onnx (onnxruntime)", id="litter only"),
        pytest.param({"deep/model.onnx"}, "holds no model file", id="only OpenVINO's exports are folders"),
    ],
)
def test_what_cannot_be_decided_or_served_says_what_to_do(files: set[str], says: str) -> None:
    with pytest.raises(InvalidModel, match=f"^model 'garments': .*{re.escape(says)}"):
        find(files)


@pytest.mark.parametrize("name", ["best.engine", "best.tflite", "best.mlpackage/x", "best.pth", "best_ncnn_model/x"])
def test_what_is_refused_is_told_with_the_command_that_makes_something_served(name: str) -> None:
    with pytest.raises(
        InvalidModel, match=r"Export it with: yolo export model=<checkpoint>\.pt format=(onnx|torchscript)"
    ):
        find({name})


@given(
    st.sets(st.sampled_from(sorted(LITTER | OPENVINO_FOLDER | {"a.onnx", "b.pt", "c.engine", "model.pt2", "x/y.xml"})))
)
def test_a_file_that_is_chosen_is_there(files: set[str]) -> None:
    try:
        found = find(files)
    except InvalidModel as refusal:
        assert str(refusal).startswith("model 'garments': ")
    else:
        assert found.path in files
