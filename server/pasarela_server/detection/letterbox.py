"""Fitting an image into the network's input and getting boxes back out: one value carries both directions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

PADDING_VALUE = 114
"""The grey that the networks were trained to see around an image."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How one image lies in the network's input. All sizes are (height, width) in pixels.

    The arithmetic, rounding included, is that of Ultralytics' `LetterBox(auto=False, scaleup=True, center=True)`.
    """

    source: tuple[int, int]
    target: tuple[int, int]
    resized: tuple[int, int]
    """Size of the image after scaling, before padding; at least one each way."""
    top: int
    left: int

    @classmethod
    def fit(cls, source: tuple[int, int], target: tuple[int, int]) -> Letterbox:
        """The largest placement of `source` in `target` that keeps the aspect ratio, centred."""
        ratio = min(target[0] / source[0], target[1] / source[1])
        height = max(round(source[0] * ratio), 1)
        width = max(round(source[1] * ratio), 1)
        top = round((target[0] - height) / 2 - 0.1)
        left = round((target[1] - width) / 2 - 0.1)
        return cls(source, target, (height, width), top, left)

    @classmethod
    def stretch(cls, source: tuple[int, int], target: tuple[int, int]) -> Letterbox:
        """`source` drawn out to fill all of `target`, whatever becomes of its aspect ratio: what RT-DETR sees."""
        return cls(source, target, target, 0, 0)

    @property
    def scale(self) -> tuple[float, float]:
        """Target pixels per source pixel, vertically and horizontally: they differ by rounding."""
        return self.resized[0] / self.source[0], self.resized[1] / self.source[1]

    def apply(self, image: npt.NDArray[np.uint8], into: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
        """Scales and pads an image (h, w, 3); returns (*target, 3), C-contiguous.

        Args:
            image: Of size `source`, or the same image at a half, a quarter or an eighth of it, rounded up.
            into: Of the shape that is returned: is written over, and returned. None: a new array.

        Raises:
            ValueError: The image, or what it is to be laid into, is of another size.
        """
        height, width = self.source
        if not any(image.shape == (-(-height // part), -(-width // part), 3) for part in (1, 2, 4, 8)):
            raise ValueError(f"this letterbox is for images of shape {(*self.source, 3)}, got {image.shape}")
        height, width = self.resized
        canvas = np.empty((*self.target, 3), np.uint8) if into is None else into
        if canvas.shape != (*self.target, 3):
            raise ValueError(f"this letterbox makes images of shape {(*self.target, 3)}, got {canvas.shape} for them")
        bottom, right = self.top + height, self.left + width
        canvas[: self.top] = PADDING_VALUE
        canvas[bottom:] = PADDING_VALUE
        canvas[self.top : bottom, : self.left] = PADDING_VALUE
        canvas[self.top : bottom, right:] = PADDING_VALUE
        inside = canvas[self.top : bottom, self.left : right]
        if self.resized == image.shape[:2]:
            inside[:] = image
        else:
            scaled = cv2.resize(image, (width, height), dst=inside, interpolation=cv2.INTER_LINEAR)
            if not np.may_share_memory(scaled, inside):  # OpenCV has not taken the place that it was offered
                inside[:] = scaled
        return canvas

    def undo(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Brings boxes (n, 4), corners in target pixels, back to source pixels, clipped to the source; a new array."""
        vertical, horizontal = self.scale
        height, width = self.source
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        scale = np.array([horizontal, vertical, horizontal, vertical], np.float32)
        limit = np.array([width, height, width, height], np.float32)
        clipped: npt.NDArray[np.float32] = np.clip((boxes - offset) / scale, np.float32(0), limit)
        return clipped
