"""Timings as they travel between the processes. All read the same monotonic clock, that of the machine."""

from __future__ import annotations

import struct

from pasarela_server.processes.framing import BrokenLink
from pasarela_server.request import NO_TIMINGS, Timings

_FIELDS = NO_TIMINGS._fields
_NUMBERS = tuple(index for index, value in enumerate(NO_TIMINGS) if isinstance(value, int))
_TEXTS = tuple(index for index, value in enumerate(NO_TIMINGS) if isinstance(value, str))
_PACKED = struct.Struct(f"<{len(_NUMBERS)}q")
_END = b"\0"


def pack(timings: Timings) -> bytes:
    """The bytes of timings."""
    fields = tuple(timings)
    numbers = _PACKED.pack(*(fields[index] for index in _NUMBERS))
    return numbers + _END.join(str(fields[index]).encode() for index in _TEXTS)


def unpack(packed: bytes) -> Timings:
    """The timings of bytes.

    Raises:
        BrokenLink: They are none.
    """
    texts = packed[_PACKED.size :].split(_END)
    if len(packed) < _PACKED.size or len(texts) != len(_TEXTS):
        raise BrokenLink(f"{len(packed)} bytes are no timings")
    fields: list[object] = list(NO_TIMINGS)
    for index, number in zip(_NUMBERS, _PACKED.unpack_from(packed), strict=True):
        fields[index] = number
    for index, text in zip(_TEXTS, texts, strict=True):
        fields[index] = text.decode()
    return Timings(*fields)  # type: ignore[arg-type]
