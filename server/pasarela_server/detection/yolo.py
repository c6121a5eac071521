"""A YOLO detector around a raw model: pixels to the network's input, the network's output to detections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pasarela_server.detection.detections import Detections
from pasarela_server.detection.image import DecodedImage, decode_for
from pasarela_server.detection.layout import Layout, read_candidates
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.nms import suppress
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.recognition import DescribedModel, recognise
from pasarela_server.errors import InvalidRequest
from pasarela_server.tensor import Array, DataType

__all__ = ["DetectOptions", "Layout", "YoloDetector"]


@dataclass(frozen=True, slots=True)
class YoloDetector:
    """Knows how to talk to one network. It holds no state: any number of threads may use it at once."""

    input_name: str
    output_name: str
    names: tuple[str, ...]
    """Class names by class id."""
    image_size: tuple[int, int]
    """(height, width) of the network's input."""
    stride: int
    datatype: DataType
    """Type of the network's input: FP32 or FP16."""
    layout: Layout
    """What the network answers."""
    rows: int = 1
    """Images that the network insists on: one is sent, the others are black."""
    takes_pixels: bool = False
    """Whether the network's backend scales and transposes pixels itself."""

    @classmethod
    def from_spec(cls, spec: DescribedModel) -> YoloDetector | None:
        """Recognises a detector by what its artefact says of itself; None if it does not claim to be one.

        Raises:
            InvalidModel: It claims to be a detector and cannot be served as one; the message says why.
        """
        found = recognise(spec)
        if found is None:
            return None
        return cls(
            input_name=found.input.name,
            output_name=found.output.name,
            names=found.names,
            image_size=found.image_size,
            stride=found.stride,
            datatype=found.input.datatype,
            layout=found.layout,
            rows=found.rows,
            takes_pixels=found.takes_pixels,
        )

    def place(self, size: tuple[int, int]) -> Letterbox:
        """How an image of (height, width) lies in the network's input."""
        place = Letterbox.stretch if self.layout.is_scaled else Letterbox.fit
        return place(size, self.image_size)

    def decode(
        self, data: bytes | memoryview, *, margin: float | None = None, max_pixels: int = 100_000_000
    ) -> DecodedImage:
        """Decodes an image as large as the network needs it; see `image.decode_for`."""
        return decode_for(data, lambda size: self.place(size).resized, margin=margin, max_pixels=max_pixels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of what `preprocess` makes."""
        height, width = self.image_size
        return (self.rows, height, width, 3) if self.takes_pixels else (self.rows, 3, height, width)

    @property
    def input_dtype(self) -> np.dtype[Any]:
        """Of what `preprocess` makes."""
        return np.dtype(np.uint8 if self.takes_pixels else self.datatype.numpy)

    def preprocess(
        self, image: npt.NDArray[np.uint8], size: tuple[int, int] | None = None, into: Array | None = None
    ) -> tuple[Array, Letterbox]:
        """Makes the network's input from an RGB image (h, w, 3).

        Args:
            image: The image.
            size: (height, width) of the whole image if this one is smaller: see `decode`.
            into: C-contiguous, of `input_shape` and `input_dtype`: is written over, and returned. None: a new array.

        Returns:
            (rows, 3, *image_size) of `datatype`, 0 to 1, or if the network takes pixels (rows, *image_size, 3) UINT8;
            C-contiguous, the image in the first row; and the letterbox that `postprocess` undoes.
        """
        letterbox = self.place(size or (image.shape[0], image.shape[1]))
        array = np.empty(self.input_shape, self.input_dtype) if into is None else into
        array[1:] = 0
        if self.takes_pixels:
            letterbox.apply(image, array[0])
            return array, letterbox
        for channel, plane in enumerate(cv2.split(letterbox.apply(image))):
            np.divide(plane, np.float32(255), out=array[0, channel], casting="same_kind")
        return array, letterbox

    def postprocess(self, output: Array, letterbox: Letterbox, options: DetectOptions) -> Detections:
        """Turns the network's output for one image into detections in that image's pixels.

        Args:
            output: Its first row, as `layout` says.
            letterbox: What `preprocess` returned for the image.
            options: Thresholds and limits.

        Raises:
            InvalidRequest: The options name a class that the model does not know.
        """
        if options.class_ids is not None and any(class_id >= len(self.names) for class_id in options.class_ids):
            raise InvalidRequest(
                f"class id {max(options.class_ids)} is unknown: the model knows 0 to {len(self.names) - 1}"
            )
        boxes, scores, class_ids = read_candidates(
            output.astype(np.float32, copy=False), self.layout, options.confidence, self.image_size
        )
        # A box that is no number would leave suppression nothing to compare the others with.
        wanted = (scores > options.confidence) & np.isfinite(boxes).all(axis=1)
        wanted &= (class_ids >= 0) & (class_ids < len(self.names))
        if options.class_ids is not None:
            wanted &= np.isin(class_ids, options.class_ids)
        boxes, scores, class_ids = boxes[wanted], scores[wanted], class_ids[wanted]
        if self.layout is not Layout.ANCHORS:
            kept = np.argsort(-scores, kind="stable")[: options.max_detections]
        else:
            kept = suppress(boxes, scores, class_ids, iou=options.iou, limit=options.max_detections)
        return Detections(letterbox.undo(boxes[kept]), scores[kept], class_ids[kept])
