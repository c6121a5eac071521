"""Writing one variant with Ultralytics, then giving it the shape and the metadata that it is served with."""

from __future__ import annotations

import ast
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import yaml

from pasarela_training.config import Variant
from pasarela_training.export.metadata import served_metadata
from pasarela_training.export.program import export_program, torchscript_metadata
from pasarela_training.variants import INPUT_NAME

_EPOCH = (1980, 1, 1, 0, 0, 0)


def export_variant(
    variant: Variant, weights: Path, imgsz: int, scratch: Path, output: Path, dynamic_size: bool = False
) -> None:
    """Exports trained weights as one variant that is not quantised.

    The batch varies. The height and width of the input are fixed, since the network is served at the size that it was
    trained at, unless asked otherwise; PyTorch's are always fixed (they are traced at one size). Dates and paths of
    this machine are left out, so the same weights give the same files.

    Args:
        variant: Which one.
        weights: A checkpoint of Ultralytics.
        imgsz: Side of the input in pixels.
        scratch: An empty folder for what lies about meanwhile.
        output: Folder that receives the variant's files.
        dynamic_size: Whether height and width may vary in ONNX and OpenVINO, too.
    """
    output.mkdir(parents=True, exist_ok=True)
    match variant:
        case "pytorch":
            clean_torchscript(_ultralytics(weights, imgsz, scratch, format="torchscript"), output / "model.pt")
        case "pt2":
            metadata = torchscript_metadata(_ultralytics(weights, imgsz, scratch, format="torchscript"))
            export_program(weights, imgsz, output / "model.pt2", metadata)
        case "onnx":
            exported = _ultralytics(weights, imgsz, scratch, format="onnx", dynamic=True)
            _fix_onnx(exported, imgsz, output / "model.onnx", dynamic_size)
        case "openvino":
            exported = _ultralytics(weights, imgsz, scratch, format="openvino", dynamic=True, quantize=16)
            _fix_openvino(exported, imgsz, output, dynamic_size)
        case "int8":
            raise ValueError("int8 is made of the OpenVINO model by export.int8")


def export_float_openvino(weights: Path, imgsz: int, scratch: Path, output: Path) -> None:
    """Exports trained weights as an OpenVINO model with FP32 weights and fixed height and width, to quantise it."""
    output.mkdir(parents=True, exist_ok=True)
    exported = _ultralytics(weights, imgsz, scratch, format="openvino", dynamic=True)
    _fix_openvino(exported, imgsz, output, dynamic_size=False, compress=False)


def _ultralytics(weights: Path, imgsz: int, scratch: Path, **arguments: Any) -> Path:
    """Exports beside a copy of the weights, and says where."""
    from ultralytics import YOLO

    copy = scratch / "model.pt"
    shutil.copyfile(weights, copy)
    model = YOLO(copy)
    model.model.args["data"] = None
    return Path(model.export(imgsz=imgsz, device="cpu", verbose=False, **arguments))


def clean_torchscript(exported: Path, output: Path) -> None:
    """Copies a TorchScript archive without debugging records (they hold paths of this machine) and its random id."""
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(output, "w") as new:
        for entry in old.infolist():
            if entry.filename.endswith((".debug_pkl", "serialization_id")):
                continue
            content = old.read(entry)
            if entry.filename.endswith("extra/config.txt"):
                content = json.dumps(served_metadata(json.loads(content))).encode()
            copied = zipfile.ZipInfo(entry.filename, _EPOCH)
            copied.compress_type = entry.compress_type
            copied.extra = _padding(entry.filename, new.fp.tell() if new.fp else 0, entry.compress_type)
            new.writestr(copied, content)


def _padding(name: str, position: int, compression: int) -> bytes:
    """An extra field that makes a stored entry's content begin at a multiple of 64 bytes, as PyTorch lays it out."""
    if compression != zipfile.ZIP_STORED:
        return b""
    header = 30 + len(name.encode()) + 4
    fill = -(position + header) % 64
    return b"FB" + fill.to_bytes(2, "little") + b"Z" * fill


def _fix_onnx(exported: Path, imgsz: int, output: Path, dynamic_size: bool) -> None:
    import onnx
    import onnxslim  # type: ignore[import-untyped]

    model = onnx.load(exported)
    metadata = served_metadata({entry.key: _literal(entry.value) for entry in model.metadata_props}, dynamic_size)
    if not dynamic_size:
        for axis in (2, 3):
            model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = imgsz
        anchors = model.graph.output[0].type.tensor_type.shape.dim[2]
        anchors.dim_value = anchors_of(imgsz, int(metadata["stride"]))
    model = onnxslim.slim(model)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    onnx.save(model, output)


def _fix_openvino(exported: Path, imgsz: int, output: Path, dynamic_size: bool, compress: bool = True) -> None:
    import openvino

    model = openvino.Core().read_model(next(exported.glob("*.xml")))
    sides = [-1, -1] if dynamic_size else [imgsz, imgsz]
    model.reshape({model.inputs[0]: [-1, 3, *sides]})
    model.inputs[0].get_tensor().set_names({INPUT_NAME})
    openvino.save_model(model, output / "model.xml", compress_to_fp16=compress)
    written = yaml.safe_load((exported / "metadata.yaml").read_text(encoding="utf-8"))
    metadata = served_metadata(written, dynamic_size)
    (output / "metadata.yaml").write_text(yaml.safe_dump(metadata, sort_keys=False), encoding="utf-8")


def anchors_of(imgsz: int, stride: int) -> int:
    """How many anchors a square input has: one for every cell of the three scales."""
    return sum((imgsz // step) ** 2 for step in (stride // 4, stride // 2, stride))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
