"""A repository with a real framework: a tiny ONNX graph, its metadata, its half."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pasarela_server.backends.onnxruntime import OnnxRuntimeLoader
from pasarela_server.config.proto import to_proto
from pasarela_server.repository.manager import ModelManager
from pasarela_server.repository.result import DetectOverrides
from pasarela_server.request import InferRequest
from pasarela_server.tensor import DataType, Tensor

METADATA = {"task": "detect", "names": "{0: 'skirt', 1: 'vest'}", "stride": "32", "imgsz": "[32, 64]", "batch": "1"}
OVER = 'backend: "detection" parameters { key: "model" value { string_value: "raw" } }'


def write_detector(path: Path) -> None:
    """Writes a graph that finds one vest in whatever it is shown: images (N, 3, H, W) → output0 (N, 6, 3)."""
    answer = np.zeros((6, 3), np.float32)
    answer[:, 1] = [32, 16, 16, 8, 0.1, 0.75]
    constants = {
        "weights": np.zeros((3, 18), np.float32),
        "answer": answer.ravel(),
        "shape": np.array([-1, 6, 3], np.int64),
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["nothing"]),
        helper.make_node("Add", ["nothing", "answer"], ["rows"]),
        helper.make_node("Reshape", ["rows", "shape"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one vest",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", 6, 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, METADATA)
    path.parent.mkdir(parents=True)
    onnx.save(model, path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`raw`, real; `half`, the first half of it; `garments`, a detection model over `raw`."""
    write_detector(tmp_path / "raw" / "1" / "model.onnx")
    content = (tmp_path / "raw" / "1" / "model.onnx").read_bytes()
    (tmp_path / "half" / "1").mkdir(parents=True)
    (tmp_path / "half" / "1" / "model.onnx").write_bytes(content[: len(content) // 2])
    (tmp_path / "garments").mkdir()
    (tmp_path / "garments" / "config.pbtxt").write_text(OVER)
    return tmp_path


async def test_a_real_model_serves_tensors_and_boxes_beside_a_broken_one(root: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        manager = ModelManager(root, {"onnxruntime": OnnxRuntimeLoader()}, pool, 2)
        manager.load_all()
        index = {entry.name: (entry.state.value, entry.reason) for entry in manager.index()}
        config = to_proto(manager.config("raw"))
        tensor = Tensor("images", DataType.FP32, np.zeros((3, 3, 64, 96), np.float32))
        with manager.acquire("raw") as handle:
            response = await handle.servable.infer(InferRequest("raw", (tensor,)))
        with manager.acquire("garments") as handle:
            result = await handle.servable.detect(np.zeros((64, 128, 3), np.uint8), DetectOverrides(confidence=0.5))
        manager.close()

    assert index["half"][0] == "UNAVAILABLE"
    assert "model.onnx" in index["half"][1]
    assert str(root) not in index["half"][1]
    assert (index["raw"][0], index["garments"][0]) == ("READY", "READY")
    assert (config.backend, config.max_batch_size, list(config.input[0].dims)) == ("onnxruntime", 4, [3, -1, -1])
    assert ast.literal_eval(config.parameters["metadata"].string_value)["names"] == {0: "skirt", 1: "vest"}
    assert response.outputs[0].array.shape == (3, 6, 3)
    np.testing.assert_allclose(result.detections.boxes, [[48, 24, 80, 40]], atol=0.01)
    assert [result.names[class_id] for class_id in result.detections.class_ids] == ["vest"]
