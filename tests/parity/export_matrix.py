"""Exports every family in every format and way, serves all of it without a configuration, and compares: `make exports`.

Prints a table as it goes, and ends with 1 if a row differs from Ultralytics' own `predict`. Arguments are families.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="ultralytics-"))

import cv2
import numpy as np

from pasarela_server.backends.loaders import loaders
from pasarela_server.errors import ServingError
from pasarela_server.repository.manager import ModelManager
from tests.parity.ultralytics_exports import FAMILIES, Export, checkpoint, compare, drop_in, predicted

WAYS: dict[str, tuple[dict[str, object], ...]] = {
    "onnx": (
        {}, {"dynamic": True}, {"nms": True}, {"nms": False}, {"dynamic": True, "nms": True},
        {"imgsz": [96, 160]}, {"batch": 2}, {"quantize": 16},
    ),
    "openvino": ({}, {"dynamic": True}, {"nms": True}, {"nms": False}, {"imgsz": [96, 160]}, {"batch": 2}, {"quantize": 16}),
    "torchscript": ({}, {"dynamic": True}, {"nms": True}, {"nms": False}, {"imgsz": [96, 160]}, {"batch": 2}),
    "pt2": ({},),
}  # fmt: skip
_LOOSE = {"pixels": 2.0, "score": 0.02}
"""Where the arithmetic differs; OpenVINO computes in half precision where the CPU has it."""


def cases(families: list[str]) -> Iterator[Export]:
    """The matrix."""
    for family in families:
        for format_, ways in WAYS.items():
            if format_ != "pt2" or family != "rtdetr":
                yield from (Export(family, format_, dict(way)) for way in ways)


def run(case: Export, weights: Path, folder: Path, image: np.ndarray) -> tuple[str, str, bool]:
    """Exports, serves and compares one case: what serves it, what came of it, and whether it is as it should be."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            made = drop_in(case, weights, folder)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        return "–", f"not exported: {str(error).splitlines()[0]}", True
    with ThreadPoolExecutor(2) as pool, contextlib.closing(ModelManager(folder, loaders(), pool, 2)) as manager:
        manager.load_all()
        try:
            with manager.acquire(str(case)) as raw, manager.acquire(f"{case}_boxes") as boxes:
                description = raw.servable.description
                ours = asyncio.run(boxes.servable.detect(image)).detections
        except ServingError as error:
            return "–", f"not served: {error}", False
    theirs = predicted(case, made, image)
    # The .pt2 is compared with its checkpoint, whose layers are not fused in the same way; and a full batch of one image
    # with that image and black ones, on which PyTorch rounds differently.
    exact = case.format != "pt2" and "batch" not in case.options and case.options.get("quantize") != 16
    exact &= "bf16" not in description
    difference = compare(ours, theirs, **({} if exact else _LOOSE))
    return description.partition(",")[0], difference or f"{len(ours)} boxes, the same", not difference


def main(families: list[str]) -> int:
    """Runs the matrix."""
    logging.disable()
    image = cv2.imread(str(Path(__file__).parents[1] / "data" / "sample.jpg"))
    sample = np.ascontiguousarray(image[:, :, ::-1])
    good = True
    print(f"| {'export':46} | {'served by':32} | against Ultralytics |\n|{'-' * 48}|{'-' * 34}|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        weights: dict[str, Path] = {}
        for case in cases(families or list(FAMILIES)):
            if case.family not in weights:
                weights[case.family] = checkpoint(case.family, Path(scratch), sample)
            served, said, fine = run(case, weights[case.family], Path(scratch) / "repositories" / str(case), sample)
            good &= fine
            print(f"| {case!s:46} | {served:32} | {said} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
