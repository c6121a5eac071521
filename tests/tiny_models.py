"""Models that load in milliseconds, one for each backend: `y = x + number`, so that an answer tells which one gave it."""

from pathlib import Path

import numpy as np


def write_onnx(folder: Path, number: int, note: str = "") -> None:
    """Writes `model.onnx`; another note makes other bytes of the same model."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "number"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor("number", TensorProto.FLOAT, [1], [float(number)])],
        doc_string=note,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)


def write_openvino(folder: Path, number: int) -> None:
    """Writes `model.xml` and `model.bin`."""
    import openvino as ov
    from openvino import opset13 as ops

    x = ops.parameter([-1, 2], np.float32, name="x")
    y = ops.add(x, ops.constant(np.full((1,), number, np.float32)))
    y.output(0).set_names({"y"})
    x.output(0).set_names({"x"})
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(ov.Model([y], [x], "add"), folder / "model.xml", compress_to_fp16=False)


def write_torchscript(folder: Path, number: int) -> None:
    """Writes `model.pt`; its config.pbtxt must say the shape of `x` (see TORCHSCRIPT_CONFIG)."""
    import warnings

    import torch

    class Add(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + number

    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")
        torch.jit.trace(Add(), torch.zeros(1, 2)).save(str(folder / "model.pt"))


TORCHSCRIPT_CONFIG = """
input { name: "x" } output { name: "y" }
parameters { key: "x.shape" value { string_value: "-1,2" } }
"""


def write_exported_program(folder: Path, number: int) -> None:
    """Writes `model.pt2`, which says itself what it takes."""
    import torch

    class Add(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + number

    folder.mkdir(parents=True, exist_ok=True)
    rows = torch.export.Dim("rows", min=1, max=8)
    program = torch.export.export(Add(), (torch.zeros(2, 2),), dynamic_shapes=({0: rows},))
    torch.export.save(program, folder / "model.pt2")


def write_detector(folder: Path, names: tuple[str, ...], side: int = 64) -> None:
    """Writes `model.onnx`, which sees an object of each class on every picture: the first best, all in the middle."""
    import onnx
    from onnx import TensorProto, helper

    answer = np.zeros((1, 4 + len(names), 12), np.float32)
    for index in range(len(names)):
        answer[0, :4, index] = side / 2, side / 2, side / 4, side / 4
        answer[0, 4 + index, index] = 0.9 - index / 100
    constants = {
        "first": helper.make_tensor("first", TensorProto.INT64, [3], [0, 0, 0]),
        "second": helper.make_tensor("second", TensorProto.INT64, [3], [1, 1, 1]),
        "axes": helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        "last": helper.make_tensor("last", TensorProto.INT64, [1], [3]),
        "nothing": helper.make_tensor("nothing", TensorProto.FLOAT, [1], [0.0]),
        "answer": helper.make_tensor("answer", TensorProto.FLOAT, answer.shape, answer.ravel()),
    }
    nodes = [
        helper.make_node("Slice", ["images", "first", "second", "axes"], ["corner"]),
        helper.make_node("Squeeze", ["corner", "last"], ["pixel"]),
        helper.make_node("Mul", ["pixel", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "answer"], ["output0"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, side, side])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", *answer.shape[1:]])
    graph = helper.make_graph(nodes, "detect", [images], [output], list(constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    described = {"task": "detect", "names": repr(dict(enumerate(names))), "stride": "32", "imgsz": repr([side, side])}
    for key, value in described.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)
