"""JPEG to boxes with OpenVINO, as the peers run it in environments of their own. It knows nothing of Pasarela.

Two ways of writing it: `plain`, what a user writes first (OpenCV decodes, a blob of floats goes in), and `tuned`, what
Pasarela does itself (libjpeg-turbo decodes, pixels go in and the graph scales them). Both answer the same boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import openvino as ov

CONFIDENCE, IOU = 0.25, 0.7
_GREY = 114


class Pipeline:
    """One infer request with threads of its own; used by one thread at a time."""

    def __init__(self, artefact: str, side: int, style: str, threads: int) -> None:
        """Compiles the model, core pinning off: two processes that pin would pin to the same core.

        Args:
            artefact: An OpenVINO IR of a YOLO detector.
            side: Of its square input.
            style: `plain` or `tuned`.
            threads: Of an inference.
        """
        cv2.setNumThreads(1)
        self._side = side
        self._tuned = style == "tuned"
        core = ov.Core()
        model = core.read_model(artefact)
        model.reshape([-1, 3, side, side])
        if self._tuned:
            model = _with_pixels(model)
        # One stream: an instance runs one inference at a time.
        options = {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads), "ENABLE_CPU_PINNING": "NO"}
        self._request = core.compile_model(model, "CPU", options).create_infer_request()

    def detect(self, images: Sequence[bytes]) -> list[Any]:
        """Boxes of each image, (n, 6) FP32: left, top, right, bottom, score, class; one inference for all."""
        prepared = [self._prepare(image) for image in images]
        if self._tuned:
            batch = np.stack([canvas for canvas, _ in prepared]) if len(prepared) > 1 else prepared[0][0][None]
        else:
            batch = cv2.dnn.blobFromImages([canvas for canvas, _ in prepared], 1 / 255, swapRB=True)
        output = self._request.infer({0: batch}, share_inputs=True, share_outputs=True)[0]
        return [_boxes(one, place) for one, (_, place) in zip(output, prepared, strict=True)]

    def _prepare(self, encoded: bytes) -> tuple[Any, tuple[float, int, int]]:
        if self._tuned:
            import simplejpeg

            image = simplejpeg.decode_jpeg(encoded, "RGB")
        else:
            image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        height, width = image.shape[:2]
        scale = self._side / max(height, width)
        inside = round(width * scale), round(height * scale)
        left, top = (self._side - inside[0]) // 2, (self._side - inside[1]) // 2
        canvas = np.full((self._side, self._side, 3), _GREY, np.uint8)
        canvas[top : top + inside[1], left : left + inside[0]] = cv2.resize(image, inside)
        return canvas, (scale, left, top)


def _with_pixels(model: Any) -> Any:
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return steps.build()


def _boxes(output: Any, place: tuple[float, int, int]) -> Any:
    scale, left, top = place
    best = output[4:].max(0)
    keep = best >= CONFIDENCE
    if not keep.any():
        return np.zeros((0, 6), np.float32)
    boxes, scores, classes = output[:4, keep].T, best[keep], output[4:, keep].argmax(0)
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)
    chosen = cv2.dnn.NMSBoxesBatched(corners.tolist(), scores.tolist(), classes.tolist(), CONFIDENCE, IOU)
    corners[:, 2:] += corners[:, :2]
    corners = (corners - np.array([left, top, left, top])) / scale
    return np.concatenate([corners, scores[:, None], classes[:, None]], axis=1)[chosen].astype(np.float32)
