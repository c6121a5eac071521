"""mAP through a running server: files go in over gRPC as they are, what comes back is judged. The users' figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pasarela_client import Detections, Detector
from pasarela_client.errors import PasarelaError, Unsupported
from pasarela_training.config import EvaluateSection
from pasarela_training.errors import TrainingError
from pasarela_training.evaluate.scores import Result, Scores, coco_scores
from pasarela_training.progress import progress


@dataclass(frozen=True, slots=True)
class ServedRun:
    """What one model of a server found in a split."""

    scores: Scores
    results: list[Result]
    version: str
    """Of the model that answered."""


def measure_served(
    url: str,
    model: str,
    image_root: Path,
    document: Path,
    section: EvaluateSection,
    *,
    window: int,
    label: str,
) -> ServedRun:
    """Streams all images of a COCO document to a server and judges the answers.

    Args:
        url: `host:port` of the server's gRPC port.
        model: A detection model, or a raw model that is a detector.
        image_root: Folder that the document's file names are relative to.
        document: The COCO document.
        section: Thresholds and limits.
        window: Images under way at a time.
        label: For the progress bar.

    Raises:
        TrainingError: The server or the model does not answer, the model knows classes that the document has not, an
            image cannot be detected on, or another version of the model began to answer midway.
    """
    content = orjson.loads(document.read_bytes())
    images = content["images"]
    categories = {category["name"]: int(category["id"]) for category in content["categories"]}
    results: list[Result] = []
    version = ""
    try:
        with Detector(url, model, timeout_s=120.0) as detector:
            _check_classes(_told_names(detector), categories, model, document)
            stream = detector.detect_stream(
                (image_root / image["file_name"] for image in images),
                window=window,
                confidence=section.confidence,
                iou=section.iou,
                max_detections=section.max_detections,
            )
            with stream as answers:
                for image, answer in zip(images, progress(answers, label, total=len(images)), strict=True):
                    if not isinstance(answer, Detections):
                        raise TrainingError(f"{model} at {url} did not answer for {image['file_name']}: {answer.error}")
                    version = _same_version(version or answer.version, answer.version, model, url)
                    _check_classes(answer.names.tolist(), categories, model, document)
                    results += _as_results(image, answer, categories)
    except PasarelaError as error:
        raise TrainingError(
            f"{model} at {url} cannot be measured: {error}; is the server running, and is the model loaded? "
            f"`pasarela models --url {url}` lists what it has"
        ) from error
    return ServedRun(coco_scores(document, results, section.max_detections), results, version)


def _told_names(detector: Detector) -> list[str]:
    """What the model can find; empty where the server does not say."""
    try:
        return list(detector.names.values())
    except Unsupported:
        return []


def _check_classes(names: Iterable[str], categories: Mapping[str, int], model: str, document: Path) -> None:
    unknown = sorted(set(names) - categories.keys())
    if unknown:
        raise TrainingError(f"{model} finds classes that {document} has not: {', '.join(unknown)}")


def _same_version(first: str, now: str, model: str, url: str) -> str:
    if first != now:
        raise TrainingError(
            f"version {now} of {model} at {url} answered after version {first} had: measure again while no version "
            f"is loaded or unloaded"
        )
    return first


def _as_results(image: Mapping[str, Any], found: Detections, categories: Mapping[str, int]) -> list[Result]:
    return [
        {
            "image_id": image["id"],
            "category_id": categories[one.name],
            "bbox": [one.box[0], one.box[1], one.box[2] - one.box[0], one.box[3] - one.box[1]],
            "score": one.score,
        }
        for one in found
    ]
