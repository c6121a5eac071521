"""The size of a picture, from its header alone."""

from __future__ import annotations

import os
from pathlib import Path

_EXIF_ORIENTATION = 0x0112
_JPEG = b"\xff\xd8"
_QUARTER_TURNS = 5
"""EXIF orientations from this on swap width and height."""
_HEAD_BYTES = 4096
_PLAIN_SEGMENTS = frozenset({0xC4, 0xDB, 0xDD, 0xE0, 0xFE, *range(0xE2, 0xF0)})
"""JPEG's tables, comments and application data that say nothing of size or orientation; EXIF lies in 0xE1."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_size(path: Path | str) -> tuple[int, int]:
    """Width and height in pixels as the picture is seen (EXIF orientation applied), read from the header only.

    Raises:
        OSError: The file is missing, or is no image.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.read(file, _HEAD_BYTES)
    finally:
        os.close(file)
    if head[:2] == _JPEG:
        return _by_segments(head) or _by_header(path) or _by_decoder(path)
    return _by_decoder(path)


def _by_segments(head: bytes) -> tuple[int, int] | None:
    """The size of an ordinary JPEG; None if its frame lies farther back, or anything out of the ordinary comes before.

    Segments: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B.
    """
    at, last = 2, len(head) - 9
    while at <= last and head[at] == 0xFF:
        kind = head[at + 1]
        if kind in _FRAMES:
            height, width = head[at + 5] << 8 | head[at + 6], head[at + 7] << 8 | head[at + 8]
            return (width, height) if width and height else None
        if kind not in _PLAIN_SEGMENTS:
            return None
        at += 2 + (head[at + 2] << 8 | head[at + 3])
    return None


def _by_header(path: Path | str) -> tuple[int, int] | None:
    """The size of any JPEG whose header can be followed."""
    import imagesize  # type: ignore[import-untyped]

    with open(path, "rb") as file:
        width, height = imagesize.get(file)
    return (int(width), int(height)) if width > 0 and height > 0 else None


def _by_decoder(path: Path | str) -> tuple[int, int]:
    """For formats whose orientation the quicker readers of headers do not know."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) >= _QUARTER_TURNS
    except (UnidentifiedImageError, ImportError) as error:
        # ImportError: Ultralytics, once imported, makes Pillow look for a plugin for what it does not know.
        raise OSError("not an image that can be read") from error
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OSError(f"not an image that can be read: {error}") from error
    return (height, width) if turned else (width, height)
