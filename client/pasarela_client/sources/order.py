"""The order in which people count files. Pure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_DIGITS: Final = re.compile(r"(\d+)")


def natural_key(path: Path) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Sorts `frame9` before `frame10`, folder by folder, capitals before small letters as elsewhere in Python."""
    return tuple(tuple(map(_piece, filter(None, _DIGITS.split(part)))) for part in path.parts)


def _piece(text: str) -> tuple[int, int, str]:
    return (0, int(text), text) if text.isdecimal() else (1, 0, text)
