"""Where runs leave what they measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtest.images import ROOT

REPORTS: Final = ROOT / "loadtest" / "reports"
_IN_A_SECOND: Final = 1000


def fresh_folder(reports: Path) -> Path:
    """Makes a folder of its own for a run, named after the time.

    Raises:
        OSError: It cannot be made.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for number in range(1, _IN_A_SECOND):
        folder = reports / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{reports / stamp}: {_IN_A_SECOND} runs in a second")
