"""The repository that faults are tried on: small models whose right answers are known, and one that misbehaves on demand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.tiny_models import write_detector, write_onnx

ADD = "add"
"""`y = x + version`."""
EYES = "eyes"
"""A detector that sees the same on every picture."""
MOODY = "moody"
"""`y = x + 1`, after as many rounds as the second number says; a first number below 0 makes it fail."""
ROUNDS_A_SECOND = 150_000
"""About so many; machines differ."""


def write_repository(root: Path) -> Path:
    """Writes all of them; returns the folder."""
    write_onnx(root / ADD / "1", 1)
    write_detector(root / "eyes_network" / "1", ("coat", "shoe"))
    (root / EYES).mkdir()
    (root / EYES / "config.pbtxt").write_text(
        'backend: "detection"\nparameters { key: "model" value { string_value: "eyes_network" } }\n'
    )
    write_moody(root / MOODY)
    return root


def write_moody(folder: Path) -> None:
    """Writes the model that takes long or fails when a request says so; each of its requests runs alone."""
    import onnx
    from onnx import TensorProto, helper

    def constant(name: str, kind: int, values: list[float]) -> onnx.TensorProto:
        return helper.make_tensor(name, kind, [len(values)], values)

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes_on"]),
            helper.make_node("Add", ["sum", "nothing"], ["sum_after"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("index", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 2]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_after", TensorProto.FLOAT, [1, 2]),
        ],
    )
    nodes = [
        helper.make_node("Split", ["x"], ["mood", "rounds"], axis=1, num_outputs=2),
        helper.make_node("Reshape", ["rounds", "scalar"], ["rounds_flat"]),
        helper.make_node("Cast", ["rounds_flat"], ["count"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["mood", "flat"], ["mood_flat"]),
        helper.make_node("Less", ["mood_flat", "nothing"], ["bad"]),
        helper.make_node("Cast", ["bad"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["one", "place"], ["number"]),
        helper.make_node("Add", ["x", "number"], ["begun"]),
        helper.make_node("Loop", ["count", "", "begun"], ["y"], body=body),
    ]
    constants = [
        helper.make_tensor("scalar", TensorProto.INT64, [0], []),
        constant("flat", TensorProto.INT64, [1]),
        constant("nothing", TensorProto.FLOAT, [0.0]),
        constant("one", TensorProto.FLOAT, [1.0]),
    ]
    graph = helper.make_graph(
        nodes,
        "moody",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "config.pbtxt").write_text("max_batch_size: 0\n")


def picture(height: int = 48, width: int = 64) -> bytes:
    """A JPEG of noise."""
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
