"""Boxes in the forms that others write them in. Pure.

Everywhere else in this package a box is left, top, right, bottom in pixels of the source image.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def to_xywh(boxes: Floats) -> Floats:
    """Left, top, width, height: COCO's form."""
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def to_cxcywh(boxes: Floats) -> Floats:
    """Centre x, centre y, width, height: YOLO's form."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate((boxes[:, :2] + sizes / 2, sizes), axis=1)


def to_fractions(boxes: Floats, image_size: tuple[int, int]) -> Floats:
    """Boxes of any form as fractions of the image's width and height.

    Raises:
        ValueError: There are boxes on an image without pixels.
    """
    if len(boxes) and 0 in image_size:
        raise ValueError(f"boxes on an image of {image_size[0]}x{image_size[1]} pixels are no fractions of it")
    width, height = (max(1, edge) for edge in image_size)
    fractions: Floats = np.divide(boxes, (width, height, width, height), dtype=np.float32)
    return fractions


def to_areas(boxes: Floats) -> Floats:
    """Square pixels of each box; 0 for one without extent."""
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas: Floats = sizes[:, 0] * sizes[:, 1]
    return areas


def shortest_floats(values: Floats) -> list[float]:
    """The values, flat, as the shortest decimal numbers that are the same 32-bit numbers when they are read again."""
    return [float(text) for text in values.ravel().astype(np.str_).tolist()]
