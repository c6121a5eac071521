"""What a JPEG says of itself before its pixels are decoded."""

from __future__ import annotations

from dataclasses import dataclass

import simplejpeg

from pasarela_server.detection.effort import check_jpeg
from pasarela_server.detection.exif import LYING, jpeg_exif, orientation
from pasarela_server.detection.refusals import UNREADABLE, check_size, unreadable
from pasarela_server.detection.signature import ImageFormat

Size = tuple[int, int]
"""(height, width) in pixels."""

_END = b"\xff\xd9"
_END_WITHIN = 64
"""Bytes at a file's end among which its pixels' end must lie; some programs fill up with a few zeros."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The header of a JPEG that may be decoded."""

    stored: Size
    """As the pixels lie in the file."""
    turn: int
    """EXIF orientation, 1 to 8: how they are turned to be seen."""
    colorspace: str
    """In libjpeg's words."""

    @property
    def size(self) -> Size:
        """Of the image as it is seen."""
        height, width = self.stored
        return (width, height) if self.turn in LYING else self.stored

    @property
    def is_cmyk(self) -> bool:
        """Whether it has the four colours of a printer."""
        return self.colorspace.upper() in {"CMYK", "YCCK"}

    @property
    def is_usual(self) -> bool:
        """Whether it has the three components of a photograph, which any decoder reads alike."""
        return self.colorspace.upper() == "YCBCR"


def read_jpeg_header(data: bytes | memoryview, max_pixels: int) -> JpegHeader:
    """Reads the header, and refuses what would take too much memory or time.

    Raises:
        InvalidRequest: It cannot be read, or the image is too large or in too many pieces.
    """
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except UNREADABLE as error:
        raise unreadable(ImageFormat.JPEG, error) from error
    check_size(ImageFormat.JPEG, height, width, max_pixels)
    check_jpeg(data)
    return JpegHeader((height, width), orientation(jpeg_exif(data)), colorspace)


def seems_whole(data: bytes | memoryview) -> bool:
    """Whether a JPEG's pixels end at the end of its file: of one that was cut off, decoders differ in what they do."""
    return _END in bytes(data[-_END_WITHIN:])
