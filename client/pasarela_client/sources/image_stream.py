"""Encoded images that come one after the other without anything between them: `cat *.png`, MJPEG."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pasarela_client.sources.pipe import Pipe

LARGEST_BYTES: Final = 1 << 28
"""A longer image is damaged: its length is read from its own head."""

_BETWEEN: Final = b"\0\r\n \t"
"""What cameras and shells put between images."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SCAN_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_END_OF_IMAGE: Final = 0xD9
_START_OF_SCAN: Final = 0xDA


class BrokenImage(Exception):
    """The images cannot be told apart any more; the message says why."""


def split_images(pipe: Pipe) -> Iterator[bytes]:
    """The images as they are, one by one.

    Raises:
        BrokenImage: One is cut short, or is none.
    """
    count = 0
    while True:
        while (head := pipe.peek(1)) and head in _BETWEEN:
            pipe.exactly(1)
        if not head:
            return
        try:
            image = _next_image(pipe)
        except EOFError:
            raise BrokenImage(f"cut short: it ends within image {count + 1}") from None
        except ValueError as error:
            raise BrokenImage(f"damaged: what comes after image {count} is no image ({error})") from None
        count += 1
        yield image


def _next_image(pipe: Pipe) -> bytes:
    start = _exactly(pipe, 2)
    if start == b"\xff\xd8":
        return _jpeg(pipe, start)
    if start == b"BM":
        head = _exactly(pipe, 4)
        return start + head + _exactly(pipe, _length(int.from_bytes(head, "little") - 6))
    if start == b"RI":
        head = _exactly(pipe, 6)
        if head[:2] != b"FF":
            raise ValueError("an unknown kind")
        size = int.from_bytes(head[2:], "little")
        return start + head + _exactly(pipe, _length(size + size % 2))
    if start == _PNG[:2]:
        return _png(pipe, start)
    raise ValueError("an unknown kind")


def _jpeg(pipe: Pipe, start: bytes) -> bytes:
    pieces = [start]
    while True:
        marker = _exactly(pipe, 2)
        if marker[0] != 0xFF:
            raise ValueError("a JPEG without its markers")
        while marker[1] == 0xFF:  # any number of these may stand before a marker
            marker = marker[1:] + _exactly(pipe, 1)
        pieces.append(marker)
        kind = marker[1]
        if kind == _END_OF_IMAGE:
            return b"".join(pieces)
        if kind in _STANDALONE:
            continue
        length = _exactly(pipe, 2)
        pieces += [length, _exactly(pipe, _length(int.from_bytes(length, "big") - 2))]
        if kind == _START_OF_SCAN:
            pieces.append(pipe.before(_SCAN_END, LARGEST_BYTES))


def _png(pipe: Pipe, start: bytes) -> bytes:
    pieces = [start, _exactly(pipe, len(_PNG) - len(start))]
    if b"".join(pieces) != _PNG:
        raise ValueError("an unknown kind")
    while True:
        head = _exactly(pipe, 8)
        pieces += [head, _exactly(pipe, _length(int.from_bytes(head[:4], "big")) + 4)]
        if head[4:] == b"IEND":
            return b"".join(pieces)


def _exactly(pipe: Pipe, count: int) -> bytes:
    found = pipe.exactly(count)
    if len(found) < count:
        raise EOFError
    return found


def _length(count: int) -> int:
    if not 0 <= count <= LARGEST_BYTES:
        raise ValueError(f"its head speaks of {count} bytes")
    return count
