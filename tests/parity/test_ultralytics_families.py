"""What Ultralytics exports, dropped into a version's folder as it is, finds what Ultralytics' own `predict` finds.

A handful of exports stands for the families, the formats and the ways to export; `make exports` compares all of them.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pasarela_client import Detector
from pasarela_server.backends.loaders import loaders
from pasarela_server.detection.detections import Detections
from pasarela_server.repository.manager import ModelManager
from tests.conftest import StartServer
from tests.parity.ultralytics_exports import CLASSES, Export, checkpoint, compare, drop_in, export, predicted

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # exporters warn of each other
    pytest.mark.timeout(400),  # the first test exports everything
]

CASES = [
    Export("v8", "onnx", {"imgsz": [96, 160], "simplify": False}),
    Export("v8", "onnx", {"nms": True, "simplify": False}),
    Export("v8", "pt2"),
    Export("v10", "onnx", {"nms": False, "simplify": False}),
    Export("v8", "torchscript", {"nms": True}),
    Export("26", "onnx", {"dynamic": True, "nms": False, "simplify": False}),
    Export("26", "openvino", {"batch": 2}),
    Export("rtdetr", "onnx", {"simplify": False}),
]
IDS = [str(case) for case in CASES]


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    """A photograph, RGB."""
    image = cv2.imread(str(Path(__file__).parents[1] / "data" / "sample.jpg"))
    return np.ascontiguousarray(image[:, :, ::-1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, sample: np.ndarray) -> tuple[Path, dict[str, Path]]:
    """A repository without a single config.pbtxt but those of detection models; and each export."""
    folder = tmp_path_factory.mktemp("exports")
    weights: dict[str, Path] = {}
    for case in CASES:
        if case.family not in weights:
            weights[case.family] = checkpoint(case.family, folder, sample)
    files = {str(case): drop_in(case, weights[case.family], folder / "repository") for case in CASES}
    return folder / "repository", files


@pytest.fixture(scope="module")
def manager(exported: tuple[Path, dict[str, Path]]) -> Iterator[ModelManager]:
    """The repository, loaded."""
    with ThreadPoolExecutor(2) as pool:
        manager = ModelManager(exported[0], loaders(), pool, 2)
        manager.load_all()
        yield manager
        manager.close()


def detected(manager: ModelManager, name: str, image: np.ndarray) -> tuple[Detections, tuple[str, ...]]:
    async def detect() -> tuple[Detections, tuple[str, ...]]:
        with manager.acquire(name) as handle:
            result = await handle.servable.detect(image)
        return result.detections, result.names

    return asyncio.run(detect())


def test_every_export_is_served_without_a_configuration(manager: ModelManager) -> None:
    assert {entry.name: entry.reason for entry in manager.index() if entry.reason} == {}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_boxes_are_those_of_predict(
    manager: ModelManager, exported: tuple[Path, dict[str, Path]], sample: np.ndarray, case: Export
) -> None:
    ours, names = detected(manager, f"{case}_boxes", sample)
    theirs = predicted(case, exported[1][str(case)], sample)
    assert names == tuple(f"garment {number}" for number in range(CLASSES))
    assert len(ours) > 10
    assert compare(ours, theirs) == ""


def test_the_same_weights_give_the_same_program_without_paths_of_this_machine(
    exported: tuple[Path, dict[str, Path]], tmp_path: Path
) -> None:
    first = exported[1]["v8_pt2_plain"].read_bytes()
    again = export(Export("v8", "pt2"), exported[0].parent / "v8.pt", tmp_path)
    assert again.read_bytes() == first
    assert str(Path(torch.__file__).parents[1]).encode() not in first
    assert str(Path(__file__).parents[2]).encode() not in first


SERVED = [case for case in CASES if case.family == "rtdetr" or case.format == "openvino"]


def test_a_server_process_gives_the_same_named_boxes(
    manager: ModelManager,
    exported: tuple[Path, dict[str, Path]],
    sample: np.ndarray,
    start_server: StartServer,
    tmp_path: Path,
) -> None:
    for case in SERVED:
        for name in (str(case), f"{case}_boxes"):
            shutil.copytree(exported[0] / name, tmp_path / name)
    with start_server(tmp_path) as server:
        for case in SERVED:
            with Detector(server.address, f"{case}_boxes") as detector:
                found = detector.detect(sample)
            ours, names = detected(manager, f"{case}_boxes", sample)
            assert [thing.name for thing in found] == [names[class_id] for class_id in ours.class_ids]
            np.testing.assert_allclose([thing.box for thing in found], ours.boxes, atol=1e-3)
