"""The model that does nothing: what is left is what a server costs by itself."""

from __future__ import annotations

from pathlib import Path

NAME = "identity"
ELEMENTS = 256
"""FP32: one kilobyte each way."""


def write_identity(repository: Path) -> None:
    """Writes an ONNX model that returns its input, `x` → `y`, ELEMENTS wide, rows in the first dimension."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        NAME,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", ELEMENTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", ELEMENTS])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder = repository / NAME / "1"
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
