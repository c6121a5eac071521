"""Encoded bytes to pixels: JPEG, PNG, WebP and BMP, upright, always RGB.

The header is read first, so an image that is too large is refused before memory is taken for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg

from pasarela_server.detection.exif import upright
from pasarela_server.detection.jpeg_header import Size, read_jpeg_header
from pasarela_server.detection.signature import ImageFormat, describe, image_format
from pasarela_server.errors import InvalidRequest

RgbImage = npt.NDArray[np.uint8]
"""(h, w, 3), C-contiguous."""

_ACCURATE_BELOW = 3
"""Larger images gain accuracy when they are scaled down by the decoder: that changes it, too."""


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image, whole or smaller than it is."""

    pixels: RgbImage
    size: Size
    """Of the whole image."""


def decode_image(data: bytes | memoryview, *, max_pixels: int = 100_000_000) -> RgbImage:
    """Decodes an image the way it is meant to be seen; see `decode_for`."""
    return decode_for(data, None, max_pixels=max_pixels).pixels


def decode_for(
    data: bytes | memoryview,
    resized: Callable[[Size], Size] | None,
    *,
    margin: float | None = None,
    max_pixels: int = 100_000_000,
) -> DecodedImage:
    """Decodes an image that is going to be scaled down.

    EXIF orientation is applied, transparent pixels lie on white, 16-bit samples are cut to 8 bits; of an animation
    the first frame is taken.

    Args:
        data: The bytes of a JPEG, PNG, WebP or BMP file.
        resized: From the size of the whole image to what it is scaled to. A JPEG that is much larger is decoded at a
            half, a quarter or an eighth of its size, which takes less time. None, and every other format: it is whole.
        margin: See `jpeg_divisor`.
        max_pixels: Larger images are refused by their header alone.

    Returns:
        Pixels (h, w, 3) uint8 RGB, C-contiguous, owned by the caller.

    Raises:
        InvalidRequest: The bytes are no such image, are broken or end early, or the image is too large.
    """
    kind = image_format(data)
    if kind is None:
        raise InvalidRequest(f"expected a JPEG, PNG, WebP or BMP image, got {describe(data)}")
    if kind is ImageFormat.JPEG:
        return _decode_jpeg(data, resized, margin, max_pixels)
    return _whole(_decode_with_pillow(data, kind, max_pixels))


def jpeg_divisor(size: Size, resized: Size, margin: float | None = None) -> int:
    """By how much a JPEG may be scaled down while it is decoded: 1, 2, 4 or 8, what the decoder does fastest. Pure.

    Args:
        size: Of the image.
        resized: What it is scaled to then.
        margin: How many times as large as that it stays at least, in each direction. None: what was measured to leave
            accuracy as it is (decision 20).
    """
    larger = min(size[0] / resized[0], size[1] / resized[1])
    if margin is None:
        return 2 if 2 <= larger < _ACCURATE_BELOW else 1
    return next((divisor for divisor in (8, 4, 2) if divisor * margin <= larger), 1)


def _whole(pixels: RgbImage) -> DecodedImage:
    return DecodedImage(pixels, (pixels.shape[0], pixels.shape[1]))


def _decode_jpeg(
    data: bytes | memoryview, resized: Callable[[Size], Size] | None, margin: float | None, max_pixels: int
) -> DecodedImage:
    header = read_jpeg_header(data, max_pixels)
    if header.is_cmyk:
        return _whole(_decode_with_pillow(data, ImageFormat.JPEG, max_pixels))
    size, (height, width) = header.size, header.stored
    divisor = 1 if resized is None else jpeg_divisor(size, resized(size), margin)
    try:
        pixels = simplejpeg.decode_jpeg(
            data, "RGB", min_height=-(-height // divisor), min_width=-(-width // divisor), strict=True
        )
    except ValueError as error:
        if "premature end" in str(error).lower():
            raise InvalidRequest("the JPEG image ends early: bytes are missing at its end") from error
        # Any other complaint may be harmless; Pillow overlooks those, and still refuses what ends early.
        return _whole(_decode_with_pillow(data, ImageFormat.JPEG, max_pixels))
    return DecodedImage(upright(pixels, header.turn), size)


def _decode_with_pillow(data: bytes | memoryview, kind: ImageFormat, max_pixels: int) -> RgbImage:
    from pasarela_server.detection.pillow import decode  # a server that is starting has no time for it

    return decode(data, kind, max_pixels)
