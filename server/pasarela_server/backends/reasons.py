"""Why a framework refused, in one line that a client may read."""

from __future__ import annotations

import re
from pathlib import Path

_LONGEST = 240
_ABSOLUTE_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[\\/](?:[^\s'\"\\/:]+[\\/])+")
_SOURCE = re.compile(r"\b[\w./\\-]+\.(?:cc|cpp|cxx|cu|h|hpp):\d+:?\s*")
"""Where in a framework's own source the error was found."""
_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |RuntimeError: ")


def reason(error: BaseException, artefact: Path | None = None) -> str:
    """The telling line of a framework's error, without the folders of the host.

    Frameworks put the trail first and the cause last, so the last line that says something is taken.

    Args:
        error: What the framework raised.
        artefact: The file that it was about, if any.
    """
    text = str(error)
    if artefact is not None:
        for folder in (artefact.absolute().parent, artefact.parent):
            text = text.replace(f"{folder}/", "")
    telling = [line.strip() for line in text.splitlines() if any(letter.isalpha() for letter in line)]
    line = _SOURCE.sub("", _ABSOLUTE_PATH.sub("", _PREFIX.sub("", telling[-1]))) if telling else type(error).__name__
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
