"""Decoded pictures as arrays, the way viewers show them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av import VideoFrame

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3), RGB."""

_MATRIX: Final = struct.Struct("=9i")


def upright_pixels(picture: VideoFrame) -> Pixels:
    """The picture in RGB, turned and mirrored as its display matrix wants it."""
    pixels: Any = picture.to_ndarray(format="rgb24")
    matrix = _display_matrix(picture)
    return turned(pixels, matrix) if matrix else pixels


def turned(pixels: Pixels, matrix: tuple[int, ...]) -> Pixels:
    """The pixels after a display matrix of a recording, for the eight ways that need no resampling.

    Args:
        pixels: (height, width, 3).
        matrix: Nine numbers, row by row: a point (x, y) goes to (x·m0 + y·m3, x·m1 + y·m4). Other angles than quarter
            turns are left as they are, as most players do.
    """
    across, down, over, along = matrix[0], matrix[4], matrix[3], matrix[1]
    if not over and not along:
        flip_x, flip_y = across < 0, down < 0
    elif not across and not down:
        pixels = pixels.transpose(1, 0, 2)
        flip_x, flip_y = over < 0, along < 0
    else:
        return pixels
    return np.ascontiguousarray(pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def _display_matrix(picture: VideoFrame) -> tuple[int, ...] | None:
    notes: Any = picture.side_data
    for note in notes:
        if note.type.name == "DISPLAYMATRIX":
            return _MATRIX.unpack(bytes(note))
    return None
