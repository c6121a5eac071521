# ruff: noqa: N802 - methods are called as the protocol calls them
"""Answers that no sound server gives twice: another version midway, classes that nobody announced."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from pasarela_proto import detection_pb2 as pb
from pasarela_proto.detection_pb2_grpc import DetectionServiceServicer, add_DetectionServiceServicer_to_server
from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.served import ServedRun, measure_served

Answer = Callable[[int], pb.DetectResponse]
Measure = Callable[[Answer], ServedRun]


class Service(DetectionServiceServicer):
    """Answers each frame by its number; it has no second service that would tell class names."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def StreamDetect(self, request_iterator: Any, context: Any) -> Iterator[pb.StreamDetectResponse]:
        for frame in request_iterator:
            yield pb.StreamDetectResponse(frame_index=frame.frame_index, response=self._answer(frame.frame_index))


def answer(*, name: str = "skirt", version: str = "3") -> pb.DetectResponse:
    detections = pb.Detections(boxes=[10, 20, 40, 80], scores=[0.9], class_ids=[0], class_names=[name])
    return pb.DetectResponse(
        model_name="m", model_version=version, detections=detections, image_width=100, image_height=200
    )


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Measures a service on three images with the skirt that `answer` finds."""
    for number in range(3):
        Image.new("RGB", (100, 200)).save(tmp_path / f"{number}.jpg")
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 200} for n in range(3)],
        "categories": [{"id": 9, "name": "skirt"}],
        "annotations": [
            {"id": n + 1, "image_id": n, "category_id": 9, "bbox": [10, 20, 30, 60], "area": 1800, "iscrowd": 0}
            for n in range(3)
        ],
    }
    document = tmp_path / "test.json"
    document.write_text(json.dumps(content))

    def run(respond: Answer) -> ServedRun:
        server = grpc.server(ThreadPoolExecutor(2))
        add_DetectionServiceServicer_to_server(Service(respond), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            return measure_served(
                f"127.0.0.1:{port}", "m", tmp_path, document, EvaluateSection(), window=2, label="test"
            )
        finally:
            server.stop(None).wait()

    return run


def test_right_answers_score_one(measure: Measure) -> None:
    run = measure(lambda _: answer())
    assert (run.scores.map50_95, run.version) == (pytest.approx(1), "3")
    assert run.results[0] == {"image_id": 0, "category_id": 9, "bbox": [10, 20, 30, 60], "score": pytest.approx(0.9)}


def test_another_version_midway_is_an_error(measure: Measure) -> None:
    with pytest.raises(TrainingError, match=r"version 4 of m at .* answered after version 3 had: measure again"):
        measure(lambda index: answer(version="3" if index < 2 else "4"))


def test_a_class_that_nobody_announced_is_an_error(measure: Measure) -> None:
    with pytest.raises(TrainingError, match=r"m finds classes that .*test\.json has not: hat"):
        measure(lambda index: answer(name="skirt" if index < 2 else "hat"))


def test_an_answer_that_is_none_is_an_error(measure: Measure) -> None:
    def refuse(_: int) -> pb.DetectResponse:
        raise AssertionError("the service broke")

    with pytest.raises(TrainingError, match=r"m at .* cannot be measured"):
        measure(refuse)
