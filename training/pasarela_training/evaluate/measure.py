"""Running a loaded variant over the images of a split."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pasarela_server.backends.base import Backend
from pasarela_server.detection.detections import Detections
from pasarela_server.detection.image import DecodedImage
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.yolo import DetectOptions, YoloDetector
from pasarela_server.errors import InvalidModel, InvalidRequest
from pasarela_server.tensor import Array
from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.scores import Result
from pasarela_training.progress import progress

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Run:
    """What a variant found, and how long the network alone took."""

    results: list[Result]
    infer_ms: float
    """Mean time of one image, in milliseconds."""


def run_variant(backend: Backend, source: Path, document: Path, section: EvaluateSection, label: str) -> Run:
    """Detects in every image of a COCO document, one by one, exactly as the server does.

    Args:
        backend: The loaded variant.
        source: The dataset that the images lie in.
        document: The COCO document.
        section: Thresholds and limits.
        label: For the progress bar.

    Raises:
        TrainingError: The artefact is no detector, or knows other classes than the document.
    """
    try:
        detector = YoloDetector.from_spec(backend.spec)
    except InvalidModel as error:
        raise TrainingError(f"evaluate: the artefact is no detector: {error}; export it again") from error
    if detector is None:
        raise TrainingError("evaluate: the artefact is no detector that the server recognises; export it again")
    content = json.loads(document.read_text(encoding="utf-8"))
    categories = {category["name"]: int(category["id"]) for category in content["categories"]}
    unknown = [name for name in detector.names if name not in categories]
    if unknown:
        raise TrainingError(f"evaluate: the model knows classes that {document} has not: {', '.join(unknown)}")
    class_to_category = [categories[name] for name in detector.names]
    options = DetectOptions(
        confidence=section.confidence, iou=section.iou, max_detections=section.max_detections, class_ids=None
    )
    session = backend.session()
    results: list[Result] = []
    spent_s = 0.0

    def prepare(image: Mapping[str, Any]) -> tuple[Array, Letterbox]:
        decoded = _decode(detector, source / image["file_name"])
        return detector.preprocess(decoded.pixels, decoded.size)

    prepared = ahead(prepare, content["images"])
    for image, (array, letterbox) in zip(progress(content["images"], label), prepared, strict=True):
        start = time.perf_counter()
        output = session.infer({detector.input_name: array})[detector.output_name]
        spent_s += time.perf_counter() - start
        detections = detector.postprocess(output[0], letterbox, options)
        results += as_results(int(image["id"]), detections, class_to_category)
    return Run(results, 1000 * spent_s / max(len(content["images"]), 1))


def ahead(prepare: Callable[[T], R], elements: Sequence[T], count: int = 4) -> Iterator[R]:
    """Prepares elements on a thread while earlier ones are worked on; results come in order, few wait at a time."""
    with ThreadPoolExecutor(1) as pool:
        pending: deque[Future[R]] = deque()
        try:
            for element in elements:
                pending.append(pool.submit(prepare, element))
                if len(pending) >= count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _decode(detector: YoloDetector, path: Path) -> DecodedImage:
    try:
        return detector.decode(path.read_bytes())
    except InvalidRequest as error:
        raise TrainingError(f"evaluate: {path} cannot be measured: {error}; take it out of the dataset") from error


def as_results(image_id: int, detections: Detections, class_to_category: list[int]) -> list[Result]:
    """Detections of one image in COCO's form.

    Args:
        image_id: The image's number in the document.
        detections: In pixels of the image.
        class_to_category: The category id of each class id.
    """
    rows = zip(detections.boxes.tolist(), detections.scores.tolist(), detections.class_ids.tolist(), strict=True)
    return [
        {
            "image_id": image_id,
            "category_id": class_to_category[class_id],
            "bbox": [left, top, right - left, bottom - top],
            "score": score,
        }
        for (left, top, right, bottom), score, class_id in rows
    ]
