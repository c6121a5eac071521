"""What was found, as it travels to the back, which counts it; the names of the classes are known there."""

from __future__ import annotations

import numpy as np

from pasarela_server.processes.framing import BrokenLink
from pasarela_server.request import Found

_ITEM_BYTES = 4


def pack(found: Found) -> bytes:
    """The bytes of class ids and scores."""
    return found.class_ids.astype("<i4").tobytes() + found.scores.astype("<f4").tobytes()


def unpack(packed: bytes, names: tuple[str, ...]) -> Found:
    """What was found, of bytes.

    Raises:
        BrokenLink: They are none of a model with these classes.
    """
    count, rest = divmod(len(packed), 2 * _ITEM_BYTES)
    if rest:
        raise BrokenLink(f"{len(packed)} bytes are no classes and scores")
    class_ids = np.frombuffer(packed, "<i4", count)
    if count and not 0 <= class_ids.min() <= class_ids.max() < len(names):
        raise BrokenLink(f"expected classes below {len(names)}, got {class_ids.min()} to {class_ids.max()}")
    return Found(names, class_ids, np.frombuffer(packed, "<f4", count, count * _ITEM_BYTES))
