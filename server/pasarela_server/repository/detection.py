"""A detection model: encoded images in, boxes out, whatever raw model runs underneath."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pasarela_server.config.model import ModelConfig
from pasarela_server.detection.options import DetectOptions
from pasarela_server.errors import InvalidRequest, ModelSuspended, ServingError
from pasarela_server.repository.door import check_request
from pasarela_server.repository.pipeline import DetectionPipeline, ImageLimits, RawModel
from pasarela_server.repository.result import DetectOverrides, DetectResult, ImageSource
from pasarela_server.request import InferRequest, InferResponse, ParameterValue, priority_of
from pasarela_server.tensor import Array, Tensor

if TYPE_CHECKING:
    from pasarela_server.repository.jpeg_stage import JpegStage

_NO_OVERRIDES = DetectOverrides()


class DetectionServable:
    """Borrows the raw model anew for each request, so a reload of the raw model needs none here."""

    def __init__(
        self,
        config: ModelConfig,
        version: int,
        raw: Callable[[], AbstractContextManager[RawModel]],
        defaults: DetectOptions,
        pool: Executor,
        limits: ImageLimits,
        jpegs: JpegStage | None = None,
    ) -> None:
        """Puts the parts together.

        Args:
            config: The complete configuration.
            version: The version's number.
            raw: Pins the raw model for one request.
            defaults: What holds where a request says nothing.
            pool: Runs the work on pixels.
            limits: Bounds on images.
            jpegs: Decodes JPEGs in batches; the servable owns it. None: the pool decodes them.
        """
        self._jpegs = jpegs
        self._config = config
        self._version = version
        self._raw = raw
        self._pipeline = DetectionPipeline(config.name, version, raw, pool, defaults, limits, jpegs)
        self._outputs = {spec.name: spec.datatype for spec in config.outputs}

    @property
    def config(self) -> ModelConfig:
        """The configuration in force."""
        return self._config

    @property
    def version(self) -> int:
        """The version's number."""
        return self._version

    @property
    def description(self) -> str:
        """Which raw model it runs."""
        return f"detection over {self._config.parameters['model']}"

    @property
    def pipeline(self) -> DetectionPipeline:
        """Detects with it."""
        return self._pipeline

    @property
    def impediment(self) -> str:
        """See `Servable.impediment`: what keeps the raw model from answering keeps this one, too."""
        try:
            with self._raw():
                return ""
        except ModelSuspended as error:
            return str(error)
        except ServingError:
            return ""

    @property
    def waiting(self) -> int:
        """None: the queue is the raw model's."""
        return 0

    def labels(self, output: str) -> tuple[str, ...]:  # noqa: ARG002 - every output alike
        """None: outputs hold a value for each object, not for each class."""
        return ()

    async def detect(
        self,
        image: ImageSource,
        overrides: DetectOverrides = _NO_OVERRIDES,
        deadline_monotonic_s: float | None = None,
    ) -> DetectResult:
        """Finds the objects in an image; see `DetectionPipeline.detect`."""
        return await self._pipeline.detect(image, overrides, deadline_monotonic_s)

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answers a request in tensors: `image` in; `boxes`, `scores`, `class_ids` and `class_names` out.

        The request's parameters may set `confidence`, `iou`, `max_detections` and `priority`.

        Raises:
            InvalidRequest: The request does not fit, or the image cannot be decoded.
        """
        check_request(self._config, request)
        image = request.inputs[0].array[0]
        overrides = read_overrides(self._config.name, request.parameters)
        result = await self.detect(image, overrides, request.deadline_monotonic_s)
        found = result.detections
        arrays: dict[str, Array] = {
            "boxes": found.boxes,
            "scores": found.scores,
            "class_ids": found.class_ids,
            "class_names": _encoded(result.names)[found.class_ids],
        }
        wanted = request.requested_outputs or tuple(self._outputs)
        outputs = tuple(Tensor(name, self._outputs[name], arrays[name]) for name in wanted)
        return InferResponse(self._config.name, self._version, outputs, request.id, result.timings, result.found)

    def stop(self, *, drain: bool) -> None:
        """Nothing runs here: the raw model's queue is the raw model's."""

    def close(self) -> None:
        """Ends what decodes JPEGs, if anything does; the raw model belongs to its own servable. Blocks."""
        if self._jpegs is not None:
            self._jpegs.close()


def read_overrides(model: str, parameters: Mapping[str, ParameterValue]) -> DetectOverrides:
    """Reads what a request's parameters say about detection; others are not looked at.

    Raises:
        InvalidRequest: A parameter has the wrong type.
    """
    return DetectOverrides(
        confidence=_fraction(model, parameters, "confidence"),
        iou=_fraction(model, parameters, "iou"),
        max_detections=_count(model, parameters, "max_detections"),
        priority=priority_of(parameters),
    )


def _fraction(model: str, parameters: Mapping[str, ParameterValue], name: str) -> float | None:
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, bool | str):
        raise InvalidRequest(f"model {model!r}: parameter {name!r} must be a number from 0 to 1, got {value!r}")
    return float(value)


def _count(model: str, parameters: Mapping[str, ParameterValue], name: str) -> int | None:
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"model {model!r}: parameter {name!r} must be a whole number, got {value!r}")
    return value


@functools.lru_cache(maxsize=64)
def _encoded(names: tuple[str, ...]) -> npt.NDArray[np.object_]:
    """Class names as the elements of a BYTES tensor, by class id."""
    return np.array([name.encode() for name in names], dtype=object)
