"""Pictures of one size, as videos want them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3)."""


def even_size(width: int, height: int) -> tuple[int, int]:
    """The size that holds it and has even sides, which H.264 needs."""
    return width + width % 2, height + height % 2


def fitted(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The picture in a size (width, height): as it is, with its last row and column repeated, or scaled onto black."""
    width, height = size
    missing_x, missing_y = width - pixels.shape[1], height - pixels.shape[0]
    if 0 <= missing_x <= 1 and 0 <= missing_y <= 1:
        if missing_x or missing_y:
            pixels = np.pad(pixels, ((0, missing_y), (0, missing_x), (0, 0)), mode="edge")
        return np.ascontiguousarray(pixels)
    from PIL import Image

    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    inner = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    scaled = Image.fromarray(np.ascontiguousarray(pixels)).resize(inner, Image.Resampling.BILINEAR)
    canvas[top : top + inner[1], left : left + inner[0]] = np.asarray(scaled)
    return canvas
