"""Loads a detection model: checks that the raw model under it is ready and detects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pasarela_server.config.detection import DetectionConfig, complete_detection
from pasarela_server.detection.options import DetectOptions
from pasarela_server.errors import (
    BackendMissing,
    InvalidModel,
    InvalidRequest,
    ModelNotFound,
    ModelSuspended,
    ModelUnavailable,
    NoVersionReady,
)
from pasarela_server.repository.desired import DesiredModel
from pasarela_server.repository.detection import DetectionServable
from pasarela_server.repository.pipeline import ImageLimits, choose_options
from pasarela_server.repository.raw import RawServable
from pasarela_server.repository.result import DetectOverrides
from pasarela_server.repository.servable import Handle, Loaded
from pasarela_server.request import VersionName

if TYPE_CHECKING:
    from pasarela_server.repository.jpeg_stage import JpegStage

Acquire = Callable[[str, VersionName], Handle]


def load_detection(desired: DesiredModel, number: int, acquire: Acquire, pool: Executor, limits: ImageLimits) -> Loaded:
    """Loads one version of a detection model. Raw models have been loaded before.

    Args:
        desired: The model, its configuration as written.
        number: The version.
        acquire: Pins a version of another model.
        pool: Runs the work on pixels.
        limits: Bounds on images.

    Raises:
        InvalidModel: Its configuration is wrong, or the model under it is no detector.
        ModelUnavailable: The model under it is missing or not ready; with the reason.
    """
    completed, detection = complete_detection(desired.written, desired.name, desired.source)
    with borrow_raw(desired.name, detection, acquire) as raw:
        try:
            detector = raw.require_detector()
            overrides = DetectOverrides(
                detection.defaults.confidence, detection.defaults.iou, detection.defaults.max_detections
            )
            defaults = choose_options(desired.name, detector.names, DetectOptions(), overrides)
        except InvalidRequest as error:
            raise InvalidModel(f"{desired.source}: {error}") from error
        description = f"{detection.model} version {raw.version}, {len(detector.names)} classes"
    servable = DetectionServable(
        completed.config,
        number,
        lambda: borrow_raw(desired.name, detection, acquire),
        defaults,
        pool,
        replace(limits, jpeg_margin=detection.jpeg_margin),
        _open_jpeg_stage(desired, detection.jpeg_device),
    )
    thresholds = f"confidence {defaults.confidence:g}, IoU {defaults.iou:g}, at most {defaults.max_detections}"
    device = detection.jpeg_device
    jpegs = () if device is None else (f"JPEGs are decoded in batches on CUDA device {device}",)
    return Loaded(servable, (f"detects with {description}", f"defaults: {thresholds}", *jpegs))


def _open_jpeg_stage(desired: DesiredModel, device: int | None) -> JpegStage | None:
    if device is None:
        return None
    # A server that decodes on the CPU need not import it when it starts.
    from pasarela_server.backends import jpeg_batches
    from pasarela_server.repository.jpeg_stage import open_stage

    return open_stage(desired.name, desired.source, lambda: jpeg_batches.open_jpeg_batches(device))


@contextmanager
def borrow_raw(model: str, detection: DetectionConfig, acquire: Acquire) -> Iterator[RawServable]:
    """Pins the raw model of a detection model for one request.

    Raises:
        ModelUnavailable: It is missing, not ready, or a detection model itself.
    """
    try:
        handle = acquire(detection.model, detection.model_version)
    except ModelNotFound as error:
        if isinstance(error, NoVersionReady) and error.backend_missing:
            raise BackendMissing(f"model {model!r} detects with {detection.model!r}: {error}") from error
        raise ModelUnavailable(f"model {model!r} detects with {detection.model!r}: {error}") from error
    except InvalidRequest as error:  # a label that the raw model has not: no fault of whoever sent the request
        raise ModelUnavailable(f"model {model!r} detects with {detection.model!r}: {error}") from error
    except ModelUnavailable as error:
        kind = next(kind for kind in (BackendMissing, ModelSuspended, ModelUnavailable) if isinstance(error, kind))
        raise kind(f"model {model!r} detects with {detection.model!r}: {error}") from error
    with handle:
        if not isinstance(handle.servable, RawServable):
            raise ModelUnavailable(
                f"model {model!r} detects with {detection.model!r}, which is a detection model itself; name a raw model"
            )
        yield handle.servable
