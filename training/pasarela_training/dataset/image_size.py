"""The size of a picture, from its header alone."""

from __future__ import annotations

from pathlib import Path

import imagesize  # type: ignore[import-untyped]
from PIL import Image, UnidentifiedImageError

_EXIF_ORIENTATION = 0x0112
_JPEG = b"\xff\xd8"
_QUARTER_TURNS = 5
"""EXIF orientations from this on swap width and height."""


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the picture is seen (EXIF orientation applied), read from the header only.

    Raises:
        OSError: The file is missing, or is no image.
    """
    with path.open("rb") as file:
        if file.read(len(_JPEG)) == _JPEG:
            file.seek(0)
            width, height = imagesize.get(file)
            if width > 0 and height > 0:
                return int(width), int(height)
    return _by_decoder(path)


def _by_decoder(path: Path) -> tuple[int, int]:
    """For formats whose orientation the quicker reader of headers does not know."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) >= _QUARTER_TURNS
    except UnidentifiedImageError as error:
        raise OSError("not an image that can be read") from error
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OSError(f"not an image that can be read: {error}") from error
    return (height, width) if turned else (width, height)
