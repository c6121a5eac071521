"""A model that suppresses another's answers: takes the raw model's tensors, gives a few finished rows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import replace

from pasarela_server.config.model import ModelConfig
from pasarela_server.config.suppression import OUTPUT, SuppressionConfig
from pasarela_server.detection.layout import Layout
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.suppression import finish_rows
from pasarela_server.errors import InvalidRequest, ModelSuspended, ModelUnavailable, QueueFull, ServingError
from pasarela_server.repository.door import check_request
from pasarela_server.repository.pipeline import DetectionPipeline
from pasarela_server.repository.raw import RawServable
from pasarela_server.repository.result import DetectOverrides, DetectResult, ImageSource
from pasarela_server.request import InferRequest, InferResponse
from pasarela_server.tensor import Array, DataType, Tensor

_NO_OVERRIDES = DetectOverrides()


class SuppressionServable:
    """Borrows the raw model anew for each request. The work on boxes happens on the pool."""

    def __init__(
        self,
        config: ModelConfig,
        version: int,
        raw: Callable[[], AbstractContextManager[RawServable]],
        suppression: SuppressionConfig,
        options: DetectOptions,
        pool: Executor,
        max_waiting: int,
    ) -> None:
        """Puts the parts together.

        Args:
            config: The complete configuration.
            version: The version's number.
            raw: Pins the raw model for one request.
            suppression: What the configuration's parameters say.
            options: Its thresholds.
            pool: Runs the work on boxes. Its owner shuts it down.
            max_waiting: Answers that may wait for the pool; one more request is refused.
        """
        self._config = config
        self._version = version
        self._raw = raw
        self._suppression = suppression
        self._options = options
        self._pool = pool
        self._max_waiting = max_waiting
        self._room = threading.BoundedSemaphore(max_waiting)

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
        return f"suppression over {self._suppression.raw.model}"

    @property
    def pipeline(self) -> DetectionPipeline:
        """None: images go to a detection model, which suppresses by itself.

        Raises:
            InvalidRequest: Always.
        """
        raise InvalidRequest(
            f"model {self._config.name!r} takes tensors; send images to a detection model, or to "
            f"{self._suppression.raw.model!r}"
        )

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
        """None: rows hold class ids, and their elements stand for no classes."""
        return ()

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answers a request.

        Raises:
            InvalidRequest: It does not fit the model.
            QueueFull: Too many requests wait.
            ModelUnavailable: The raw model is not ready, or has become one that needs no suppression.
            BackendFailure: The framework raised.
        """
        if not self._room.acquire(blocking=False):
            raise QueueFull(f"model {self._config.name!r}: {self._max_waiting} requests wait already, its limit")
        try:
            with self._raw() as raw:
                # The raw model may have been replaced by one of another size or with other classes.
                check_request(replace(self._config, inputs=raw.config.inputs), request)
                detector = raw.detector
                if detector is None or detector.layout is not Layout.ANCHORS:
                    raise ModelUnavailable(
                        f"model {self._config.name!r} suppresses the answers of {self._suppression.raw.model!r}, which "
                        "has none to suppress any more"
                    )
                answer = await raw.infer(request._replace(requested_outputs=(detector.output_name,)))
            loop = asyncio.get_running_loop()
            answered_ns = time.monotonic_ns()
            rows, began_ns, ended_ns = await loop.run_in_executor(self._pool, self._finish, answer.outputs[0].array)
        finally:
            self._room.release()
        timings = answer.timings._replace(nms_queue_ns=began_ns - answered_ns, nms_ns=ended_ns - began_ns)
        output = Tensor(OUTPUT, DataType.FP32, rows)
        return InferResponse(self._config.name, self._version, (output,), request.id, timings)

    async def detect(
        self,
        image: ImageSource,
        overrides: DetectOverrides = _NO_OVERRIDES,
        deadline_monotonic_s: float | None = None,
    ) -> DetectResult:
        """Refused; see `pipeline`."""
        return await self.pipeline.detect(image, overrides, deadline_monotonic_s)

    def stop(self, *, drain: bool) -> None:
        """Nothing runs here: the raw model's queue is the raw model's."""

    def close(self) -> None:
        """Nothing to free: the raw model belongs to its own servable."""

    def _finish(self, output: Array) -> tuple[Array, int, int]:
        """Runs on the pool. The rows, when it began and when it ended, on the clock of `time.monotonic_ns`."""
        began_ns = time.monotonic_ns()
        rows = finish_rows(output, self._options, every_label=self._suppression.every_label)
        return rows, began_ns, time.monotonic_ns()
