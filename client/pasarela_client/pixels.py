"""Rectangles of one colour on an array of pixels, as quickly as NumPy can."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pasarela_client.palette import Colour

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3) of uint8, RGB, in one piece."""


def fill(pixels: Pixels, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
    """Fills the part of a rectangle that lies on the pixels; right and bottom are outside it."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
    if left < right and top < bottom:
        # Copying a row of bytes is many times as quick as repeating three of them.
        pixels.reshape(height, -1)[top:bottom, 3 * left : 3 * right] = _row(colour, width)[: 3 * (right - left)]


def outline(pixels: Pixels, left: int, top: int, right: int, bottom: int, colour: Colour, width_px: int) -> None:
    """Draws bars of this width inside the edges of a rectangle."""
    fill(pixels, left, top, right, min(bottom, top + width_px), colour)
    fill(pixels, left, max(top, bottom - width_px), right, bottom, colour)
    fill(pixels, left, top, min(right, left + width_px), bottom, colour)
    fill(pixels, max(left, right - width_px), top, right, bottom, colour)


@lru_cache(maxsize=64)
def _row(colour: Colour, width: int) -> Pixels:
    return np.tile(np.array(colour, np.uint8), width)
