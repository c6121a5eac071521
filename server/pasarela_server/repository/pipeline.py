"""From an image to its detections: decode and letterbox, the raw model, suppression and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pasarela_server.backends.artefacts import lacks_memory
from pasarela_server.detection.image import DecodedImage, RgbImage
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import DeadlineExpired, InvalidRequest, OutOfMemory, ServingError
from pasarela_server.repository.image_line import ImageLine
from pasarela_server.repository.relay import Relay
from pasarela_server.repository.result import DetectOverrides, DetectResult, ImageSource
from pasarela_server.scheduling.awaiting import Answers
from pasarela_server.scheduling.batch import BatchAnswer
from pasarela_server.tensor import Array

if TYPE_CHECKING:  # a server that has no such stage need not import it
    from pasarela_server.repository.jpeg_stage import JpegStage, Laid


class RawModel(Protocol):
    """The part of a raw servable that detection needs."""

    def require_detector(self) -> YoloDetector:
        """What knows how to talk to the network; raises InvalidRequest if the model is no detector."""
        ...

    def submit(
        self, inputs: dict[str, Array], rows: int, deadline_monotonic_s: float | None, priority: int = 0
    ) -> Future[BatchAnswer]:
        """Queues one request, from any thread."""
        ...

    @property
    def images(self) -> ImageLine | None:
        """Where images wait for their turn; None if they are decoded at once."""
        ...


Room = Callable[[], AbstractContextManager[Array | None]]
"""Where the network's input is to be made, for as long as the block runs, on the pool; None: in memory of its own."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds on what images may cost."""

    max_pixels: int = 64_000_000
    """Width times height of one image."""
    max_waiting: int = 256
    """Images that may wait to be decoded for one model; one more is refused."""
    jpeg_margin: float | None = None
    """How many times as large as the network sees it a JPEG is decoded at least; see `jpeg_divisor`."""


class DetectionPipeline:
    """Detects on one raw model. `detect` is awaited on the event loop; the work on pixels happens on the pool.

    If the client goes away, the task that awaits `detect` is cancelled: what waits is dropped, what runs on the pool
    runs to its end and is thrown away.
    """

    def __init__(
        self,
        model: str,
        version: int,
        raw: Callable[[], AbstractContextManager[RawModel]],
        pool: Executor,
        defaults: DetectOptions,
        limits: ImageLimits,
        jpegs: JpegStage | None = None,
    ) -> None:
        """Builds the pipeline.

        Args:
            model: The name that answers carry, and messages.
            version: The version that answers carry.
            raw: Pins the raw model for one request.
            pool: Runs the work on pixels. Its owner shuts it down.
            defaults: What holds where a request says nothing.
            limits: Bounds on images.
            jpegs: Decodes what it can of them in batches; None: the pool decodes all. Its owner closes it.
        """
        self.model = model
        self.version = version
        self.raw = raw
        self._pool = pool
        self.defaults = defaults
        self.limits = limits
        self._jpegs = jpegs
        self._answers = Answers()

    async def detect(
        self, image: ImageSource, overrides: DetectOverrides, deadline_monotonic_s: float | None
    ) -> DetectResult:
        """Finds the objects in one image.

        Raises:
            InvalidRequest: The image cannot be decoded, or the options are impossible.
            QueueFull: Too many images wait already.
            QueueTimeout: The image waited longer than the raw model allows.
            DeadlineExpired: The deadline passed, or is too near.
            ModelUnavailable: The raw model is not ready.
            BackendFailure: The framework raised.
            OutOfMemory: Memory ran out for the image.
        """
        with self.raw() as raw:
            return await self.detect_with(raw, image, overrides, deadline_monotonic_s)

    async def detect_with(
        self,
        raw: RawModel,
        image: ImageSource,
        overrides: DetectOverrides,
        deadline_monotonic_s: float | None,
        room: Room = nullcontext,
    ) -> DetectResult:
        """The same by a raw model that is pinned already, the network's input made where there is room for it."""
        detector = raw.require_detector()
        options = choose_options(self.model, detector.names, self.defaults, overrides)
        line = raw.images
        number = 0 if line is None else line.number()
        submitted_ns = time.monotonic_ns()

        def prepare(laid: Laid | None) -> _Prepared:
            if laid is not None:
                return _prepared_ahead(laid, submitted_ns)
            with _within_memory(self.model):
                return _prepare(self.model, image, detector, self.limits, deadline_monotonic_s, submitted_ns, room)

        def decode_ahead() -> Future[Laid | None] | None:
            if self._jpegs is None or isinstance(image, np.ndarray):
                return None
            _check_deadline(self.model, deadline_monotonic_s)
            with _naming(self.model):
                return self._jpegs.submit(image, detector, self.limits.max_pixels)

        def submit(prepared: _Prepared) -> Future[BatchAnswer]:
            answer_by_s = deadline_monotonic_s
            if line is not None:
                line.prepared(number, (prepared.ended_ns - prepared.began_ns) / 1e9)
                answer_by_s = line.answer_by_s(deadline_monotonic_s)
            return raw.submit({detector.input_name: prepared.array}, 1, answer_by_s, overrides.priority)

        def finish(prepared: _Prepared, answer: BatchAnswer, answered_ns: int) -> DetectResult:
            with _within_memory(self.model):
                result = self._finish(detector, prepared, answer, answered_ns, options)
            if line is not None:
                line.finished((time.monotonic_ns() - answered_ns) / 1e9)
            return result

        relay = Relay(self._pool, prepare, submit, finish, decode_ahead if self._jpegs else None)
        if line is None:
            relay.begin()
        else:
            most = self.limits.max_waiting
            line.enter(number, relay, self.model, deadline_monotonic_s, overrides.priority, most)
        return await self._answers.wait(relay.done)

    def _finish(
        self,
        detector: YoloDetector,
        prepared: _Prepared,
        answer: BatchAnswer,
        answered_ns: int,
        options: DetectOptions,
    ) -> DetectResult:
        """Runs on the pool."""
        began_ns = time.monotonic_ns()
        output = answer.outputs[detector.output_name][0]
        detections = detector.postprocess(output, prepared.letterbox, options)
        timings = answer.timings._replace(
            submitted_ns=prepared.submitted_ns,
            decode_queue_ns=prepared.began_ns - prepared.submitted_ns,
            decode_ns=prepared.decoded_ns - prepared.began_ns,
            letterbox_ns=prepared.ended_ns - prepared.decoded_ns,
            nms_queue_ns=began_ns - answered_ns,
            nms_ns=time.monotonic_ns() - began_ns,
        )
        return DetectResult(
            model_name=self.model,
            model_version=self.version,
            detections=detections,
            names=detector.names,
            image_height=prepared.height,
            image_width=prepared.width,
            timings=timings,
        )


def choose_options(
    model: str, names: tuple[str, ...], defaults: DetectOptions, overrides: DetectOverrides
) -> DetectOptions:
    """The options of one request: what it says, else the model's defaults.

    Raises:
        InvalidRequest: A value is impossible, or a class is unknown.
    """
    for name in overrides.class_names:
        if name not in names:
            raise InvalidRequest(f"model {model!r} knows no class {name!r}; it knows {', '.join(map(repr, names))}")
    for class_id in overrides.class_ids:
        if not 0 <= class_id < len(names):
            raise InvalidRequest(f"model {model!r} knows no class id {class_id}; it knows 0 to {len(names) - 1}")
    class_ids = {*overrides.class_ids, *(names.index(name) for name in overrides.class_names)}
    try:
        return DetectOptions(
            confidence=defaults.confidence if overrides.confidence is None else overrides.confidence,
            iou=defaults.iou if overrides.iou is None else overrides.iou,
            max_detections=defaults.max_detections if overrides.max_detections is None else overrides.max_detections,
            class_ids=tuple(sorted(class_ids)) if class_ids else defaults.class_ids,
        )
    except InvalidRequest as error:
        raise InvalidRequest(f"model {model!r}: {error}") from error


@contextmanager
def _within_memory(model: str) -> Iterator[None]:
    """Turns what libraries raise for want of memory into OutOfMemory: the request fails, and nothing else."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ServingError) or not lacks_memory(error):
            raise
        raise OutOfMemory(f"model {model!r}: memory ran out for the image") from error


@dataclass(frozen=True, slots=True)
class _Prepared:
    array: Array
    letterbox: Letterbox
    height: int
    width: int
    submitted_ns: int
    """When it began to wait for the pool, on the clock of `time.monotonic_ns`, as the others."""
    began_ns: int
    decoded_ns: int
    ended_ns: int


def _prepare(
    model: str,
    image: ImageSource,
    detector: YoloDetector,
    limits: ImageLimits,
    deadline_monotonic_s: float | None,
    submitted_ns: int,
    room: Room,
) -> _Prepared:
    """Runs on the pool. The image's bytes are only read."""
    began_ns = time.monotonic_ns()
    _check_deadline(model, deadline_monotonic_s)
    with _naming(model):
        decoded = (
            _check_pixels(image, limits.max_pixels)
            if isinstance(image, np.ndarray)
            else detector.decode(image, margin=limits.jpeg_margin, max_pixels=limits.max_pixels)
        )
    decoded_ns = time.monotonic_ns()
    with room() as place:
        array, letterbox = detector.preprocess(decoded.pixels, decoded.size, place)
    height, width = decoded.size
    return _Prepared(array, letterbox, height, width, submitted_ns, began_ns, decoded_ns, time.monotonic_ns())


def _prepared_ahead(laid: Laid, submitted_ns: int) -> _Prepared:
    """The network's input of a picture that was decoded in a batch: its letterbox is part of the decoding."""
    height, width = laid.letterbox.source
    began_ns, ended_ns = laid.began_ns, laid.ended_ns
    return _Prepared(laid.canvas[None], laid.letterbox, height, width, submitted_ns, began_ns, ended_ns, ended_ns)


def _check_deadline(model: str, deadline_monotonic_s: float | None) -> None:
    if deadline_monotonic_s is not None and time.monotonic() >= deadline_monotonic_s:
        raise DeadlineExpired(f"model {model!r}: the deadline passed before the image was decoded")


@contextmanager
def _naming(model: str) -> Iterator[None]:
    """Says which model an image was refused for."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(f"model {model!r}: {error}") from error


def _check_pixels(image: RgbImage, max_pixels: int) -> DecodedImage:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InvalidRequest(f"pixels must be UINT8 of shape [height, width, 3], got {image.dtype} {list(image.shape)}")
    height, width, _ = image.shape
    if not 1 <= height * width <= max_pixels:
        raise InvalidRequest(f"an image has from 1 to {max_pixels:,} pixels, got {width}x{height}")
    return DecodedImage(image, (height, width))
