"""What kind of bytes came: image formats by their first bytes, and words for everything else."""

from __future__ import annotations

import enum


class ImageFormat(enum.Enum):
    """The encodings that a detection model accepts; the value is the name for people."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    BMP = "BMP"


_REFUSED = (
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x93NUMPY", "a NumPy file"),
)


def image_format(data: bytes | memoryview) -> ImageFormat | None:
    """The format whose signature the bytes begin with; None for anything else."""
    head = bytes(data[:12])
    if head.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return ImageFormat.WEBP
    if head.startswith(b"BM") and len(data) > 14:
        return ImageFormat.BMP
    return None


def describe(data: bytes | memoryview) -> str:
    """Says what bytes are that are no image, and what their sender probably meant."""
    if len(data) == 0:
        return "zero bytes"
    head = bytes(data[:48])
    for signature, name in _REFUSED:
        if head.startswith(signature):
            return f"{name}, which is not supported"
    if head[4:8] == b"ftyp":
        return "an AVIF, HEIC or video file, which is not supported"
    if head.startswith((b"/9j/", b"iVBORw0KGgo")):
        return "base64 text; send the file's bytes, not their base64 form"
    if head.startswith((b"\xff\xd8", b"\x89PN", b"RIFF", b"BM")):
        return f"{len(data)} bytes, too few for an image"
    text = _as_text(head)
    if text is not None:
        return f"text beginning {text[:24]!r}; send the file's bytes, not its name or address"
    return f"{len(data)} bytes beginning with 0x{head[:8].hex()}"


def _as_text(head: bytes) -> str | None:
    text = head.decode("utf-8", errors="ignore")
    readable = bool(text) and len(text.encode()) >= len(head) - 3
    return text if readable and all(letter.isprintable() or letter.isspace() for letter in text) else None
