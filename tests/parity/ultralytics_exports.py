"""Every kind of file that Ultralytics exports, made here from random weights: small networks with answers worth comparing.

Normalisation is set by a picture, and the last layers are scaled by it, so that scores are spread as a trained
network's are. Run as a program it exports and compares the whole matrix: `make exports`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true")

SIDE = 128
CLASSES = 5
FAMILIES = {
    "v8": "v8/yolov8.yaml",
    "v9": "v9/yolov9t.yaml",
    "v10": "v10/yolov10n.yaml",
    "11": "11/yolo11.yaml",
    "12": "12/yolo12.yaml",
    "26": "26/yolo26.yaml",
    "rtdetr": "rt-detr/rtdetr-l.yaml",
}
"""By family, Ultralytics' own description of its smallest network."""


@dataclass(frozen=True)
class Export:
    """One way to export one family."""

    family: str
    format: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        written = "_".join(f"{key}-{value}" for key, value in self.options.items())
        return re_name(f"{self.family}_{self.format}_{written or 'plain'}")


def re_name(name: str) -> str:
    """A name that a model may have."""
    return "".join(letter if letter.isalnum() or letter in "_-" else "" for letter in name)


def checkpoint(family: str, folder: Path, picture: np.ndarray) -> Path:
    """Writes a checkpoint of random weights."""
    torch.manual_seed(3)
    described = Path(FAMILIES[family])
    # Ultralytics reads the size of the network out of the name: the smallest is "n".
    scaled = f"{described.stem}n" if described.stem[-1].isdecimal() else described.stem
    description = folder / f"{scaled}.yaml"
    description.write_text(yaml.safe_dump(_description(family)))
    model = model_class(family)(str(description))
    network = model.model.float().eval()
    network.names = {number: f"garment {number}" for number in range(CLASSES)}
    spread_answers(network, picture)
    path = folder / f"{family}.pt"
    model.save(str(path))
    return path


def model_class(family: str) -> Any:
    """Ultralytics' class for models of a family."""
    from ultralytics import RTDETR, YOLO

    return RTDETR if family == "rtdetr" else YOLO


def _description(family: str) -> dict[str, Any]:
    import ultralytics

    models = Path(ultralytics.__file__).parent / "cfg" / "models"
    description = yaml.safe_load((models / FAMILIES[family]).read_text()) | {"nc": CLASSES}
    if family == "rtdetr":
        # The smallest that Ultralytics ships has 32 million weights: the same parts, fewer and narrower.
        description["scales"] = {"l": [0.33, 0.125, 128]}
        description["head"][-1][3] = [CLASSES, 64, 300, 4, 4, 2]
    return description


def spread_answers(network: torch.nn.Module, picture: np.ndarray) -> None:
    """Spreads a network's answers to a picture: its scores come to lie on both sides of any threshold."""
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    head = network.model[-1]
    last = [layer for layer in head.modules() if _width(layer) == CLASSES]
    generator = torch.Generator().manual_seed(1)
    pixels = cv2.resize(picture, (SIDE, SIDE)).transpose(2, 0, 1)[None].astype(np.float32) / 255

    def spread(layer: Any, inputs: tuple[torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        layer.weight.normal_(0, 1, generator=generator)
        layer.bias.zero_()
        answers = _apply(layer, inputs[0])
        axes = [axis for axis in range(answers.dim()) if answers.shape[axis] != CLASSES]
        scale = 2 / answers.std().clamp_min(1e-6)
        layer.weight.mul_(scale)
        layer.bias.copy_(-scale * answers.mean(dim=axes) - 2.5 + torch.rand(CLASSES, generator=generator))
        return _apply(layer, inputs[0])

    hooks = [layer.register_forward_hook(spread) for layer in last]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        network(torch.from_numpy(pixels))
    network.eval()
    for hook in hooks:
        hook.remove()


def _width(layer: torch.nn.Module) -> int | None:
    return getattr(layer, "out_channels", getattr(layer, "out_features", None))


def _apply(layer: Any, inputs: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, torch.nn.Linear):
        return torch.nn.functional.linear(inputs, layer.weight, layer.bias)
    return layer._conv_forward(inputs, layer.weight, layer.bias)


def export(case: Export, weights: Path, folder: Path) -> Path:
    """Exports a checkpoint and moves what came of it, file or folder, into `folder`."""
    model = model_class(case.family)(str(weights))
    made = Path(model.export(format=case.format, verbose=False, **({"imgsz": SIDE} | case.options)))
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(made, folder / made.name))
