"""Files that take long to decode for the way they are built, not for their pixels: refused before they are decoded.

What they hold is counted without looking into it, as decoders go through it, so that no file is refused for what it
merely contains: thumbnails, profiles, a film behind the picture.
"""

from __future__ import annotations

import itertools
import re

from pasarela_server.errors import InvalidRequest

MOST_SCANS = 100
"""Of a JPEG: each goes over the whole picture and may take a dozen bytes. Cameras and programs write ten or so."""
MOST_SEGMENTS = 1000
"""Of a JPEG, tables and scans together; the largest profiles take some hundred."""
MOST_FILL_BYTES = 65_536
"""Between the segments before a JPEG's first scan."""
MOST_CHUNKS = 1000
"""Of a PNG, however small it is; one more for each `CHUNK_BYTES`."""
CHUNK_BYTES = 1024

_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""Whatever else stands behind 0xFF is a pixel's byte, fill, or a marker that says nothing."""
_SCAN = re.compile(rb"\xff\xda")
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)
"""Frames of which a scan that has all components is the whole."""
_START_OF_SCAN, _END_OF_IMAGE, _START_OF_IMAGE, _FIRST_WITH_LENGTH = 0xDA, 0xD9, 0xD8, 0xC0


def check_jpeg(data: bytes | memoryview) -> None:
    """Refuses a JPEG whose scans or segments would take long. One that is broken is left to the decoder.

    Raises:
        InvalidRequest: It has too many of them.
    """
    at = _first_of_several(data)
    if at is not None:
        _check_scans(data, at)


def check_png(data: bytes | memoryview) -> None:
    """Refuses a PNG in tiny pieces. One that is broken is left to the decoder.

    Raises:
        InvalidRequest: It has too many of them.
    """
    view = memoryview(data)
    most = MOST_CHUNKS + len(view) // CHUNK_BYTES
    at = len(b"\x89PNG\r\n\x1a\n")
    for _ in range(most):
        if at + 8 > len(view):
            return
        at += 12 + int.from_bytes(view[at : at + 4], "big")
    if at + 8 <= len(view):
        raise InvalidRequest(f"the PNG image is in pieces: it has more than {most:,} chunks")


def _first_of_several(content: bytes | memoryview) -> int | None:
    """Where the first scan's segment begins; None if it is the only one, as in most files, or there is none."""
    at, fill, components = 2, MOST_FILL_BYTES, 0
    for _ in range(MOST_SEGMENTS):
        found = _MARKER.search(content, at, at + fill)
        if found is None:
            if len(content) - at > fill:
                raise InvalidRequest(f"the JPEG image has more than {MOST_FILL_BYTES:,} fill bytes before its pixels")
            return None
        marker, within = found[0][1], content[found.end() + 2 : found.end() + 8]
        if marker == _START_OF_SCAN:
            return None if within[:1] == bytes((components,)) else found.start()
        if marker in _SEQUENTIAL and len(within) == 6:
            components = within[5]
        fill -= found.start() - at
        at = _after(content, found)
    raise _too_many_segments()


def _check_scans(content: bytes | memoryview, at: int) -> None:
    if next(itertools.islice(_SCAN.finditer(content, at), MOST_SCANS, None), None) is None:
        return  # no more than these can be scans
    scans = 0
    for _ in range(MOST_SEGMENTS):
        found = _MARKER.search(content, at)
        if found is None or found[0][1] == _END_OF_IMAGE:
            return
        scans += found[0][1] == _START_OF_SCAN
        if scans > MOST_SCANS:
            raise InvalidRequest(f"the JPEG image has more than {MOST_SCANS} scans; save it again, in fewer passes")
        at = _after(content, found)
    raise _too_many_segments()


def _after(content: bytes | memoryview, found: re.Match[bytes]) -> int:
    """The end of a segment; markers without a length are ends themselves."""
    marker, at = found[0][1], found.end()
    if marker < _FIRST_WITH_LENGTH or marker in (_START_OF_IMAGE, _END_OF_IMAGE):
        return at
    return at + max(2, int.from_bytes(content[at : at + 2], "big"))


def _too_many_segments() -> InvalidRequest:
    return InvalidRequest(f"the JPEG image is in pieces: it has more than {MOST_SEGMENTS:,} segments")
