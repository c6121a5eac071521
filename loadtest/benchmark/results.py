"""The file that keeps what was measured: an entry for each measurement, with the conditions it was taken under."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtest.benchmark.figures import Figures, Taken


class UnreadableResults(Exception):
    """A results file is none; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One measurement as it was last taken."""

    complete: bool
    """False if it was stopped before its last round."""
    date: str
    rounds: int
    seconds: float
    conditions: Mapping[str, Any]
    """Of machine and software; see `conditions`."""
    notes: tuple[str, ...] = ()
    """How things were set up."""
    taken: Taken = field(default_factory=dict)

    @property
    def figures(self) -> Figures:
        """What was taken."""
        return Figures(self.taken)


Results = dict[str, Entry]
"""By measurement name."""


def read_results(path: Path) -> Results:
    """Reads a results file; empty if there is none.

    Raises:
        UnreadableResults: It is something else.
    """
    if not path.exists():
        return {}
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return {name: Entry(**{**entry, "notes": tuple(entry["notes"])}) for name, entry in written.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableResults(f"{path} holds no results of this benchmark; move it away, or name another") from error


def write_results(path: Path, results: Results) -> None:
    """Writes all of them; the file is replaced whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".partial")
    written = {name: asdict(entry) for name, entry in results.items()}
    beside.write_text(json.dumps(_rounded(written), indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def _rounded(value: Any) -> Any:
    """Six digits are more than any clock here can tell."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
