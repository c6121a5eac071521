"""Images of a split, chosen by seed and prepared as the server prepares them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import InvalidRequest
from pasarela_server.tensor import Array
from pasarela_training.errors import TrainingError


def chosen_images(document: Path, image_root: Path, count: int, seed: int) -> list[Path]:
    """Chooses images of a COCO document: the same for the same seed, in the document's order.

    Args:
        document: The COCO document.
        image_root: What its file names are relative to.
        count: How many; all if there are fewer.
        seed: Of the choice.

    Raises:
        TrainingError: The document cannot be read, or has no images.
    """
    try:
        names = [str(image["file_name"]) for image in json.loads(document.read_text(encoding="utf-8"))["images"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"export: {document} is no COCO document ({error}); run the coco stage again") from error
    if not names:
        raise TrainingError(f"export: {document} has no images; take a larger sample or other shares of its splits")
    chosen = np.random.default_rng(seed).choice(len(names), min(count, len(names)), replace=False)
    return [image_root / names[position] for position in sorted(chosen.tolist())]


def prepared(path: Path, detector: YoloDetector) -> tuple[Array, Letterbox]:
    """Reads an image and makes values of it, as every variant and the checkpoint take: see `YoloDetector.preprocess`.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        decoded = detector.decode(path.read_bytes())
        return replace(detector, takes_pixels=False).preprocess(decoded.pixels, decoded.size)
    except (OSError, InvalidRequest) as error:
        raise TrainingError(f"export: {path} cannot be read: {error}; take it out of the dataset") from error
