"""Writing the variant of `torch.export`: PyTorch's own format, which takes the place of TorchScript."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

from pasarela_training.export.metadata import served_metadata

METADATA_FILE = "config.txt"


def export_program(weights: Path, imgsz: int, output: Path, metadata: dict[str, Any]) -> None:
    """Exports trained weights with `torch.export`: the batch varies, height and width do not.

    Args:
        weights: A checkpoint of Ultralytics.
        imgsz: Side of the input in pixels.
        output: The archive to write, `model.pt2`.
        metadata: What the archive says of itself.
    """
    import torch
    from ultralytics import YOLO
    from ultralytics.nn.modules import Detect, RTDETRDecoder

    network = YOLO(weights).model.float().eval().fuse(verbose=False).requires_grad_(requires_grad=False)
    for layer in network.modules():
        if isinstance(layer, Detect | RTDETRDecoder):
            # As Ultralytics does before it exports; anchors that are kept between calls would fix the batch.
            layer.export, layer.format, layer.dynamic = True, "torchscript", True
    images = torch.zeros(2, 3, imgsz, imgsz)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The tensor attributes?", category=UserWarning)
        program = torch.export.export(
            network, (images,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},)
        )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # holds paths of this machine
    torch.export.save(program, output, extra_files={METADATA_FILE: json.dumps(served_metadata(metadata))})


def torchscript_metadata(archive: Path) -> dict[str, Any]:
    """What Ultralytics wrote into a TorchScript archive."""
    with zipfile.ZipFile(archive) as opened:
        name = next(name for name in opened.namelist() if name.endswith(f"extra/{METADATA_FILE}"))
        content: dict[str, Any] = json.loads(opened.read(name))
    return content
