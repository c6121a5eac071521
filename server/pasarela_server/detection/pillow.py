"""Images that Pillow decodes: all formats but JPEG, and the JPEGs that the faster decoder does not like."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from pasarela_server.detection.effort import check_png
from pasarela_server.detection.exif import jpeg_exif, orientation, upright
from pasarela_server.detection.refusals import UNREADABLE, check_size, unreadable
from pasarela_server.detection.signature import ImageFormat
from pasarela_server.errors import InvalidRequest

# Pillow's plugins are called directly: `Image.open` would warn of sizes that its process-wide limit dislikes.
_PLUGINS: dict[ImageFormat, Callable[[IO[bytes]], ImageFile.ImageFile]] = {
    ImageFormat.JPEG: JpegImagePlugin.JpegImageFile,
    ImageFormat.PNG: PngImagePlugin.PngImageFile,
    ImageFormat.WEBP: WebPImagePlugin.WebPImageFile,
    ImageFormat.BMP: BmpImagePlugin.BmpImageFile,
}
_BACKGROUND = (255, 255, 255)


def decode(data: bytes | memoryview, kind: ImageFormat, max_pixels: int) -> npt.NDArray[np.uint8]:
    """Decodes an image the way it is meant to be seen; see `image.decode_for`.

    Returns:
        Pixels (h, w, 3) uint8 RGB, C-contiguous, owned by the caller.

    Raises:
        InvalidRequest: The bytes are broken or end early, or the image is too large.
    """
    if kind is ImageFormat.PNG:
        check_png(data)
    try:
        with _PLUGINS[kind](io.BytesIO(data)) as image:
            check_size(kind, image.height, image.width, max_pixels)
            _refuse_run_lengths(image)
            exif = jpeg_exif(data) if kind is ImageFormat.JPEG else image.info.get("exif", b"")
            image.load()
            pixels = _to_rgb(image)
    except Image.DecompressionBombError as error:
        raise InvalidRequest(f"the {kind.value} image has more than the {max_pixels:,} pixels allowed") from error
    except UNREADABLE as error:
        raise unreadable(kind, error) from error
    return upright(pixels, orientation(exif))


def _refuse_run_lengths(image: ImageFile.ImageFile) -> None:
    """Pillow reads such a BMP byte by byte in Python: a kilobyte that claims many pixels would take half a minute."""
    if any(tile.codec_name == "bmp_rle" for tile in image.tile):
        raise InvalidRequest("the BMP image is run-length encoded, which is not supported; save it uncompressed")


def _to_rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.mode.startswith("I"):
        samples = np.asarray(image)
        grey = (np.clip(samples, 0, 0xFFFF) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        seen = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, (*_BACKGROUND, 255))
        image = Image.alpha_composite(canvas, seen)
    return np.array(image.convert("RGB"), np.uint8, order="C")
