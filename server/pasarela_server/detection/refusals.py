"""What images are refused for, whoever reads them."""

from __future__ import annotations

import struct
import zlib

from pasarela_server.detection.signature import ImageFormat
from pasarela_server.errors import InvalidRequest

UNREADABLE = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, AttributeError, EOFError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip
"""What decoders raise for bytes that are broken."""


def check_size(kind: ImageFormat, height: int, width: int, max_pixels: int) -> None:
    """Looks at the size that a header claims, in pixels.

    Raises:
        InvalidRequest: It is nothing, or more than is allowed.
    """
    if height < 1 or width < 1:
        raise InvalidRequest(f"the {kind.value} image has no pixels: its header says {width}x{height}")
    if height * width > max_pixels:
        raise InvalidRequest(
            f"the {kind.value} image of {width}x{height} pixels is larger than the {max_pixels:,} pixels allowed"
        )


def unreadable(kind: ImageFormat, error: Exception) -> InvalidRequest:
    """What a client is told of an image that a decoder gave up."""
    early = "truncated" in str(error).lower()
    what = "ends early: bytes are missing at its end" if early else "is broken or ends early"
    return InvalidRequest(f"the {kind.value} image {what}")
