"""A loaded version of a raw model: tensors in, tensors out; and images in, if its artefact says that it detects."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from types import MappingProxyType

from pasarela_server.backends.base import Backend, RecoveringBackend
from pasarela_server.backends.limits import check_spatial
from pasarela_server.config.model import ModelConfig
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import InvalidRequest
from pasarela_server.repository.door import check_request
from pasarela_server.repository.image_line import ImageLine
from pasarela_server.repository.labels import metadata_labels
from pasarela_server.repository.pipeline import DetectionPipeline, ImageLimits
from pasarela_server.repository.result import DetectOverrides, DetectResult, ImageSource
from pasarela_server.request import InferRequest, InferResponse, priority_of
from pasarela_server.scheduling.awaiting import Answers
from pasarela_server.scheduling.batch import BatchAnswer
from pasarela_server.scheduling.scheduler import Scheduler
from pasarela_server.tensor import Array, Tensor

_NO_OVERRIDES = DetectOverrides()
_NO_LABELS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class RawServable:
    """Owns its backend and its scheduler, which is running when it is handed over."""

    def __init__(
        self,
        config: ModelConfig,
        version: int,
        backend: Backend,
        scheduler: Scheduler,
        detector: YoloDetector | str,
        pool: Executor,
        limits: ImageLimits,
        labels: Mapping[str, tuple[str, ...]] = _NO_LABELS,
        decoders: int = 1,
    ) -> None:
        """Puts the parts together.

        Args:
            config: The complete configuration.
            version: The version's number.
            backend: The loaded artefact.
            scheduler: Runs the backend's sessions.
            detector: What makes a detector of the model; or why it is none.
            pool: Runs the work on pixels.
            limits: Bounds on images.
            labels: By output, the class names of its label file.
            decoders: Images that the pool works on side by side.
        """
        self._config = config
        self._version = version
        self._backend = backend
        self._recovering = backend if isinstance(backend, RecoveringBackend) else None
        self._scheduler = scheduler
        self._detector = detector
        self._pipeline = DetectionPipeline(
            config.name, version, lambda: nullcontext(self), pool, DetectOptions(), limits
        )
        # Beside those that are executed: as many to take next, and those that are being decoded.
        places = 2 * scheduler.slots + decoders
        self._images = ImageLine(
            config.name, scheduler.levels, scheduler.default_level, places, decoders, scheduler.outlook
        )
        self._answers = Answers()
        self._outputs = {spec.name: spec.datatype for spec in config.outputs}
        self._labels = labels
        self._metadata_labels = metadata_labels(config.parameters.get("metadata", ""))

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
        """Framework, device, precision really used and threads."""
        return self._backend.description

    @property
    def impediment(self) -> str:
        """See `Servable.impediment`."""
        away = "" if self._recovering is None else self._recovering.away
        return away or self._scheduler.impediment

    @property
    def pipeline(self) -> DetectionPipeline:
        """Detects with it."""
        return self._pipeline

    @property
    def images(self) -> ImageLine:
        """Where images wait for their turn."""
        return self._images

    @property
    def row_by_row(self) -> bool:
        """Whether a batch is computed one row after the other, so that merging requests gains nothing."""
        return self._backend.spec.row_by_row

    @property
    def waiting(self) -> int:
        """Requests in the queue now, and images that wait to be decoded."""
        return self._scheduler.waiting + len(self._images)

    @property
    def detector(self) -> YoloDetector | None:
        """What knows how to talk to the network; None if the model is no detector."""
        return None if isinstance(self._detector, str) else self._detector

    def labels(self, output: str) -> tuple[str, ...]:
        """Names of the classes that an output's elements stand for: its label file's, else the artefact's."""
        return self._labels.get(output, self._metadata_labels)

    def require_detector(self) -> YoloDetector:
        """The detector.

        Raises:
            InvalidRequest: The model is none; with the reason.
        """
        if isinstance(self._detector, str):
            raise InvalidRequest(
                f"model {self._config.name!r} is no detection model: {self._detector}; send it tensors with ModelInfer"
            )
        return self._detector

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answers a request. Cancelling the awaiting task drops the request from the queue.

        Raises:
            InvalidRequest: It does not fit the model.
            QueueFull: Too many requests wait.
            QueueTimeout: It waited longer than the model allows.
            DeadlineExpired: The deadline passed in the queue.
            ServerStopping: The server drains.
            BackendFailure: The framework raised.
        """
        rows = check_request(self._config, request)
        inputs = {tensor.name: tensor.array for tensor in request.inputs}
        try:
            check_spatial(self._backend.spec, inputs)
        except InvalidRequest as error:
            raise InvalidRequest(f"model {self._config.name!r}: {error}") from error
        answer = self._scheduler.answer_here(inputs, rows, request.deadline_monotonic_s)
        if answer is None:
            priority = priority_of(request.parameters)
            answer = await self._answers.wait(
                self._scheduler.submit(inputs, rows, request.deadline_monotonic_s, priority)
            )
        wanted = request.requested_outputs or tuple(self._outputs)
        outputs = tuple([Tensor(name, self._outputs[name], answer.outputs[name]) for name in wanted])
        return InferResponse(self._config.name, self._version, outputs, request.id, answer.timings)

    def submit(
        self, inputs: Mapping[str, Array], rows: int, deadline_monotonic_s: float | None, priority: int = 0
    ) -> Future[BatchAnswer]:
        """Queues inputs that are known to fit, from any thread; see `Scheduler.submit`."""
        return self._scheduler.submit(inputs, rows, deadline_monotonic_s, priority)

    async def detect(
        self,
        image: ImageSource,
        overrides: DetectOverrides = _NO_OVERRIDES,
        deadline_monotonic_s: float | None = None,
    ) -> DetectResult:
        """Finds the objects in an image; see `DetectionPipeline.detect`."""
        return await self._pipeline.detect(image, overrides, deadline_monotonic_s)

    def stop(self, *, drain: bool) -> None:
        """Stops the scheduler and blocks until its threads have ended."""
        if not drain:
            self._images.close()
        self._scheduler.stop(drain=drain)

    def close(self) -> None:
        """Stops the scheduler and frees the artefact. Blocks."""
        self._scheduler.stop(drain=True)
        self._backend.close()
