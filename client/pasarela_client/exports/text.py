"""Text into bytes of a file."""

from __future__ import annotations


def encode_text(text: str) -> bytes:
    r"""UTF-8, always valid: bytes of file names that are none become `\udcff`, which JSON reads as what it was."""
    return text.encode("utf-8", "backslashreplace")
