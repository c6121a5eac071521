"""What was measured together, and kept so that it can be used again: a candidate and the baseline, or the finalists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pasarela_server.tuning.candidate import Candidate, read_candidate
from pasarela_server.tuning.measurement import Slice, from_json, to_json


@dataclass(frozen=True, slots=True)
class Sitting:
    """Measurements that were made in turns, which is what makes them comparable."""

    name: str
    """Which round or repeat."""
    candidates: tuple[Candidate, ...]
    """Those measured beside the baseline."""
    slices: Mapping[Candidate, Sequence[Slice]]
    """By candidate, the baseline among them; empty if it failed."""
    failure: str | None = None
    """Why there are none."""


class Journal:
    """All sittings of a search, those of an earlier one first."""

    def __init__(
        self, earlier: Iterable[Sitting] = (), on_add: Callable[[Sequence[Sitting]], None] = lambda _: None
    ) -> None:
        """Builds the journal.

        Args:
            earlier: What was measured before under the same conditions.
            on_add: Called with all sittings of this search whenever there is one more.
        """
        self._earlier = {(sitting.name, sitting.candidates): sitting for sitting in earlier}
        self._sittings: list[Sitting] = []
        self._on_add = on_add

    @property
    def sittings(self) -> tuple[Sitting, ...]:
        """Those of this search, in order."""
        return tuple(self._sittings)

    def find(self, name: str, candidates: tuple[Candidate, ...]) -> Sitting | None:
        """One of an earlier search; None if there is none."""
        return self._earlier.get((name, candidates))

    def add(self, sitting: Sitting) -> None:
        """Puts a finished one in."""
        self._sittings.append(sitting)
        self._on_add(self.sittings)


def sitting_to_json(sitting: Sitting) -> dict[str, Any]:
    """A sitting as JSON holds it."""
    return {
        "name": sitting.name,
        "candidates": [candidate.key() for candidate in sitting.candidates],
        "slices": [
            {"candidate": candidate.key(), "measured": [to_json(each) for each in slices]}
            for candidate, slices in sitting.slices.items()
        ],
        "failure": sitting.failure,
    }


def sitting_from_json(content: Mapping[str, Any]) -> Sitting:
    """What `sitting_to_json` made.

    Raises:
        KeyError: Something is missing.
        TypeError: It is something else.
    """
    return Sitting(
        name=content["name"],
        candidates=tuple(read_candidate(key) for key in content["candidates"]),
        slices={
            read_candidate(each["candidate"]): [from_json(one) for one in each["measured"]]
            for each in content["slices"]
        },
        failure=content["failure"],
    )
