"""Loads a model that suppresses another's answers: checks that the raw model is ready and has some to suppress."""

from __future__ import annotations

from concurrent.futures import Executor

from pasarela_server.config.suppression import complete_suppression, read_suppression
from pasarela_server.detection.layout import Layout
from pasarela_server.detection.options import DetectOptions
from pasarela_server.errors import InvalidModel, InvalidRequest
from pasarela_server.repository.desired import DesiredModel
from pasarela_server.repository.load_detection import Acquire, borrow_raw
from pasarela_server.repository.pipeline import ImageLimits, choose_options
from pasarela_server.repository.result import DetectOverrides
from pasarela_server.repository.servable import Loaded
from pasarela_server.repository.suppression import SuppressionServable


def load_suppression(
    desired: DesiredModel, number: int, acquire: Acquire, pool: Executor, limits: ImageLimits
) -> Loaded:
    """Loads one version. Raw models have been loaded before.

    Args:
        desired: The model, its configuration as written.
        number: The version.
        acquire: Pins a version of another model.
        pool: Runs the work on boxes.
        limits: Bounds on what may wait.

    Raises:
        InvalidModel: Its configuration is wrong, or the model under it is no detector, or suppresses by itself.
        ModelUnavailable: The model under it is missing or not ready; with the reason.
    """
    source = desired.source
    suppression = read_suppression(desired.written, desired.name, source)
    defaults = suppression.raw.defaults
    with borrow_raw(desired.name, suppression.raw, acquire) as raw:
        try:
            detector = raw.require_detector()
            overrides = DetectOverrides(defaults.confidence, defaults.iou, defaults.max_detections)
            options = choose_options(desired.name, detector.names, DetectOptions(), overrides)
        except InvalidRequest as error:
            raise InvalidModel(f"{source}: {error}") from error
        if detector.layout is not Layout.ANCHORS:
            raise InvalidModel(
                f"{source}: the answers of {suppression.raw.model!r} are {detector.layout.value} and need no "
                "suppression; serve it as it is"
            )
        completed = complete_suppression(desired.written, desired.name, suppression, raw.config, source)
        description = f"{suppression.raw.model} version {raw.version}"
    servable = SuppressionServable(
        completed.config,
        number,
        lambda: borrow_raw(desired.name, suppression.raw, acquire),
        suppression,
        options,
        pool,
        limits.max_waiting,
    )
    return Loaded(servable, (f"runs {description}", *completed.decisions))
