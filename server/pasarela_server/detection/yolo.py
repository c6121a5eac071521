"""A YOLO detector around a raw model: pixels to the network's input, the network's output to detections."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pasarela_server.detection.detections import Detections
from pasarela_server.detection.letterbox import Letterbox
from pasarela_server.detection.nms import suppress
from pasarela_server.detection.options import DetectOptions
from pasarela_server.detection.recognition import DescribedModel, recognise
from pasarela_server.errors import InvalidRequest
from pasarela_server.tensor import Array, DataType

__all__ = ["DetectOptions", "YoloDetector"]

_BOX_ROWS = 4


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
    end2end: bool
    """True if the network's output is already suppressed: rows of left, top, right, bottom, score, class id."""

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
            end2end=found.end2end,
        )

    def preprocess(self, image: npt.NDArray[np.uint8]) -> tuple[Array, Letterbox]:
        """Makes the network's input from an RGB image (h, w, 3).

        Returns:
            (1, 3, *image_size) of `datatype`, 0 to 1, C-contiguous; and the letterbox that `postprocess` undoes.
        """
        letterbox = Letterbox.fit((image.shape[0], image.shape[1]), self.image_size)
        array = np.empty((1, 3, *self.image_size), self.datatype.numpy)
        for channel, plane in enumerate(cv2.split(letterbox.apply(image))):
            np.divide(plane, np.float32(255), out=array[0, channel], casting="same_kind")
        return array, letterbox

    def postprocess(self, output: Array, letterbox: Letterbox, options: DetectOptions) -> Detections:
        """Turns the network's output for one image into detections in that image's pixels.

        Args:
            output: (4 + classes, anchors): centre x, centre y, width, height in input pixels, then a score for each
                class; or (n, 6) if `end2end`.
            letterbox: What `preprocess` returned for the image.
            options: Thresholds and limits.

        Raises:
            InvalidRequest: The options name a class that the model does not know.
        """
        if options.class_ids is not None and any(class_id >= len(self.names) for class_id in options.class_ids):
            raise InvalidRequest(
                f"class id {max(options.class_ids)} is unknown: the model knows 0 to {len(self.names) - 1}"
            )
        output = output.astype(np.float32, copy=False)
        boxes, scores, class_ids = _read_rows(output) if self.end2end else _read_anchors(output, options.confidence)
        # A box that is no number would leave suppression nothing to compare the others with.
        wanted = (scores > options.confidence) & np.isfinite(boxes).all(axis=1)
        if options.class_ids is not None:
            wanted &= np.isin(class_ids, options.class_ids)
        boxes, scores, class_ids = boxes[wanted], scores[wanted], class_ids[wanted]
        if self.end2end:
            kept = np.argsort(-scores, kind="stable")[: options.max_detections]
        else:
            kept = suppress(boxes, scores, class_ids, iou=options.iou, limit=options.max_detections)
        return Detections(letterbox.undo(boxes[kept]), scores[kept], class_ids[kept])


_Candidates = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int32]]
"""Boxes (n, 4) as corners in input pixels, scores (n,), class ids (n,)."""


def _read_anchors(output: npt.NDArray[np.float32], confidence: float) -> _Candidates:
    # Few of the thousands of anchors pass: the rows are reduced as they lie, and only survivors are gathered.
    survivors = np.flatnonzero(output[_BOX_ROWS:].max(axis=0) > confidence)
    picked = output[:, survivors]
    class_ids = picked[_BOX_ROWS:].argmax(axis=0).astype(np.int32)
    scores = picked[_BOX_ROWS:].max(axis=0)
    half = picked[2:4] / 2
    corners = np.concatenate((picked[:2] - half, picked[:2] + half))
    return np.ascontiguousarray(corners.T), scores, class_ids


def _read_rows(output: npt.NDArray[np.float32]) -> _Candidates:
    return output[:, :4], output[:, 4], output[:, 5].astype(np.int32)
