"""JPEGs of one detection model, decoded in batches before the network batches: for GPUs, which do that best."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import simplejpeg

from pasarela_server.backends.jpeg_batches import Canvas, Placement
from pasarela_server.detection.exif import upright
from pasarela_server.detection.image import RgbImage, decode_image
from pasarela_server.detection.jpeg_header import JpegHeader, Size, read_jpeg_header, seems_whole
from pasarela_server.detection.letterbox import PADDING_VALUE, Letterbox
from pasarela_server.detection.signature import ImageFormat, image_format
from pasarela_server.detection.yolo import YoloDetector
from pasarela_server.errors import BackendMissing, InvalidModel, ServerStopping, ServingError

_log = logging.getLogger("pasarela_server.repository")

MOST_FILES = 64
"""In one batch."""
MOST_PIXELS = 64_000_000
"""Of all files of a batch together, unless it is a single one: they are in the device's memory at the same time."""
_SAMPLE_SIZES: tuple[Size, ...] = ((96, 128), (160, 90))
_MEAN_DIFFERENCE = 2.0
"""Levels of 255 by which a device's decoder may differ on average from the one that accuracy was measured with."""


class Batches(Protocol):
    """What decodes; `backends.jpeg_batches.JpegBatches` is one, and says what its method does."""

    def lay(
        self,
        files: Sequence[bytes | memoryview],
        placements: Sequence[Placement],
        canvas: Size,
        background: int,
    ) -> list[Canvas | None]:
        """Decodes a batch and lays each picture onto a canvas of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Laid:
    """A picture that has been decoded and letterboxed."""

    canvas: Canvas
    """The network's input, without its first dimension."""
    letterbox: Letterbox
    began_ns: int
    """When its batch was begun, on the clock of `time.monotonic_ns`."""
    ended_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A JPEG whose turn has not come."""

    data: bytes | memoryview
    header: JpegHeader
    letterbox: Letterbox
    laid: Future[Laid | None] = field(default_factory=Future)

    @property
    def pixels(self) -> int:
        """Of the file."""
        return self.header.stored[0] * self.header.stored[1]

    @property
    def placement(self) -> Placement:
        """Where the picture is to lie."""
        box = self.letterbox
        return Placement(self.header.turn, *box.resized, box.top, box.left)


def take(waiting: deque[Waiting], most_files: int = MOST_FILES, most_pixels: int = MOST_PIXELS) -> list[Waiting]:
    """Takes the next batch out of what waits: the first ones, as long as they fit and share a size of canvas."""
    batch: list[Waiting] = []
    pixels = 0
    while waiting and len(batch) < most_files:
        first = waiting[0]
        pixels += first.pixels
        if batch and (pixels > most_pixels or first.letterbox.target != batch[0].letterbox.target):
            break
        batch.append(waiting.popleft())
    return batch


class JpegStage:
    """One thread that decodes what waits, as much as fits at a time. It never waits for more to come."""

    def __init__(self, name: str, batches: Batches) -> None:
        """Starts the thread.

        Args:
            name: The model's, for messages.
            batches: Decodes; used by the stage's thread alone.
        """
        self._name = name
        self._batches = batches
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"jpeg-{name}", daemon=True)
        self._thread.start()

    def submit(self, data: bytes | memoryview, detector: YoloDetector, max_pixels: int) -> Future[Laid | None] | None:
        """Queues an image, if it is one for the stage. From any thread.

        Args:
            data: The image's file. It is read until the future is resolved.
            detector: Of the network that it is for.
            max_pixels: Larger images are refused.

        Returns:
            The picture to come, which is None if it must be decoded otherwise after all; or None if it must from the
            beginning: no JPEG, or a rare kind of it, or it was cut off, or the network does not take pixels.

        Raises:
            InvalidRequest: The JPEG is broken or too large.
            ServerStopping: The stage was closed.
        """
        if not detector.takes_pixels or detector.rows != 1 or image_format(data) is not ImageFormat.JPEG:
            return None
        header = read_jpeg_header(data, max_pixels)
        if not header.is_usual or not seems_whole(data):
            return None
        entry = Waiting(data, header, detector.place(header.size))
        with self._changed:
            if self._closed:
                raise self._stopping()
            self._waiting.append(entry)
            self._changed.notify()
        return entry.laid

    def close(self) -> None:
        """Refuses what waits and what comes; blocks until the batch that is being decoded is done."""
        with self._changed:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        for entry in waiting:
            if entry.laid.set_running_or_notify_cancel():
                entry.laid.set_exception(self._stopping())
        self._thread.join()

    def _stopping(self) -> ServerStopping:
        return ServerStopping(f"model '{self._name}' is being unloaded and takes no more images")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                batch = take(self._waiting)
            batch = [entry for entry in batch if entry.laid.set_running_or_notify_cancel()]
            if batch:
                self._execute(batch)

    def _execute(self, batch: Sequence[Waiting]) -> None:
        began_ns = time.monotonic_ns()
        canvases = self._lay(batch)
        ended_ns = time.monotonic_ns()
        for entry, canvas in zip(batch, canvases, strict=True):
            entry.laid.set_result(None if canvas is None else Laid(canvas, entry.letterbox, began_ns, ended_ns))

    def _lay(self, batch: Sequence[Waiting]) -> Sequence[Canvas | None]:
        """All canvases; none if the device fails: the processor decodes them then."""
        try:
            laid = lay(self._batches, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the images can be decoded otherwise
            if not self._failing:
                reason = str(error) if isinstance(error, ServingError) else type(error).__name__
                _log.warning("model %s: JPEGs are decoded on the CPU while the device fails: %s", self._name, reason)
            self._failing = True
            return [None] * len(batch)
        self._failing = False
        return laid


def lay(batches: Batches, batch: Sequence[Waiting]) -> list[Canvas | None]:
    """Decodes a batch of one size of canvas."""
    files, placements = [entry.data for entry in batch], [entry.placement for entry in batch]
    return batches.lay(files, placements, batch[0].letterbox.target, PADDING_VALUE)


def open_stage(name: str, source: str, open_batches: Callable[[], Batches]) -> JpegStage:
    """A stage whose device has shown that it decodes as the processor does.

    Args:
        name: The model's.
        source: What messages call its configuration.
        open_batches: Makes the device ready.

    Raises:
        BackendMissing: What decodes there is not installed.
        InvalidModel: There is no such device, it fails, or what it makes of a sample is something else.
    """
    try:
        batches = open_batches()
        _try_out(batches)
    except BackendMissing:
        raise
    except (ServingError, ValueError) as error:
        raise InvalidModel(f"{source}: parameter 'jpeg_device': {error}") from error
    return JpegStage(name, batches)


def _try_out(batches: Batches) -> None:
    """Decodes samples, upright and turned, on the device and on the processor; raises ValueError if they differ."""
    target = (128, 128)
    entries = [_sample(size, turn, target) for size in _SAMPLE_SIZES for turn in (1, 6)]
    expected = [entry.letterbox.apply(_as_seen(entry)) for entry in entries]
    for found, right in zip(lay(batches, entries), expected, strict=True):
        if found is None:
            raise ValueError("the device could not decode a sample")
        difference = float(np.abs(found.astype(np.int16) - right).mean())
        if not difference <= _MEAN_DIFFERENCE:
            raise ValueError(f"what the device made of a sample is {difference:.1f} levels of 255 off")


def _sample(size: Size, turn: int, target: Size) -> Waiting:
    """A coloured gradient, which no two ways to turn or mirror leave alike."""
    height, width = size
    down, right = np.mgrid[0:height, 0:width].astype(np.float64)
    pixels = np.stack([255 * down / height, 255 * right / width, 255 * (down * right) / (height * width)], axis=2)
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels.astype(np.uint8)), quality=90)
    header = JpegHeader(size, turn, "YCbCr")
    return Waiting(data, header, Letterbox.fit(header.size, target))


def _as_seen(entry: Waiting) -> RgbImage:
    return np.ascontiguousarray(upright(decode_image(entry.data), entry.header.turn))
