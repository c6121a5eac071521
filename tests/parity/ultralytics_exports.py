"""Every kind of file that Ultralytics exports, made here from random weights: small networks with answers worth comparing.

Normalisation is set by a picture, and the last layers are scaled by it, so that scores are spread as a trained
network's are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from pasarela_server.detection.detections import Detections
from pasarela_training.export.formats import export_variant

os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true")

SIDE = 128
CLASSES = 5
CONFIDENCE = 0.3
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
        return "".join(letter for letter in f"{self.family}_{self.format}_{written or 'plain'}" if letter not in "[], ")


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

    if getattr(head, "reg_max", 16) == 1:
        # YOLO26 predicts distances to the sides outright: random ones would be negative half of the time.
        for layer in head.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.out_channels == 4:
                torch.nn.init.normal_(layer.weight, 0, 0.002, generator=generator)
                torch.nn.init.constant_(layer.bias, 2)
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
    folder.mkdir(parents=True, exist_ok=True)
    if case.format == "pt2":
        # Ultralytics does not export it; the project's own pipeline does.
        with tempfile.TemporaryDirectory() as scratch:
            export_variant("pt2", weights, SIDE, Path(scratch), folder)
        return folder / "model.pt2"
    model = model_class(case.family)(str(weights))
    made = Path(model.export(format=case.format, verbose=False, **({"imgsz": SIDE} | case.options)))
    return Path(shutil.move(made, folder / made.name))


def drop_in(case: Export, weights: Path, repository: Path) -> Path:
    """Exports into version 1 of a model without a configuration, and puts a detection model over it."""
    made = export(case, weights, repository / str(case) / "1")
    boxes = repository / f"{case}_boxes" / "config.pbtxt"
    boxes.parent.mkdir()
    boxes.write_text(
        'backend: "detection"\n'
        f'parameters {{ key: "model" value {{ string_value: "{case}" }} }}\n'
        f'parameters {{ key: "confidence" value {{ string_value: "{CONFIDENCE}" }} }}\n'
    )
    return made


def predicted(case: Export, made: Path, image: np.ndarray) -> np.ndarray:
    """What Ultralytics' `predict` finds with an export on an RGB image: (n, 6) of corners, score, class id."""
    if case.format == "pt2":
        # Nor does Ultralytics read it: the checkpoint that it was made from stands for it.
        made = next(folder / f"{case.family}.pt" for folder in made.parents if (folder / f"{case.family}.pt").is_file())
    images = [image[:, :, ::-1]] * int(case.options.get("batch", 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's about TorchScript
        model = model_class(case.family)(str(made), **({} if case.family == "rtdetr" else {"task": "detect"}))
        results = model.predict(
            images, imgsz=case.options.get("imgsz", SIDE), rect=False, conf=CONFIDENCE, iou=0.7, max_det=300,
            device="cpu", verbose=False, save=False,
        )  # fmt: skip
    return np.asarray(results[0].boxes.data.numpy())


def compare(ours: Detections, theirs: np.ndarray, pixels: float = 0.05, score: float = 1e-3) -> str:
    """Why detections differ from Ultralytics'; empty if each has its like, in whatever order equal scores come."""
    if len(ours) != len(theirs):
        return f"{len(ours)} detections, Ultralytics finds {len(theirs)}"
    height, width = ours.boxes[:, 3].max(initial=0), ours.boxes[:, 2].max(initial=0)
    boxes = np.clip(theirs[:, :4], 0, [max(width, 1), max(height, 1)] * 2)
    apart = np.abs(ours.boxes[:, None] - boxes[None]).max(axis=2)
    alike = (apart <= pixels) & (np.abs(ours.scores[:, None] - theirs[None, :, 4]) <= score)
    alike &= ours.class_ids[:, None] == theirs[None, :, 5]
    alone = int((~alike.any(axis=1)).sum() + (~alike.any(axis=0)).sum())
    return f"{alone} detections have no like" if alone else ""
