"""What a load test says to scripts."""

from __future__ import annotations

from typing import Final

from loadtest.records import RunFacts

MET: Final = 0
"""All objectives were met."""
FAILED: Final = 1
"""More requests failed than the objectives allow, none was made, or the generator could not do what it was asked to."""
USAGE: Final = 2
"""Wrong usage, or a scenario that says something wrong."""
NO_SERVER: Final = 3
"""No server: it did not start, or nobody answers."""
MISSED: Final = 4
"""Requests were answered, but another objective was missed: too slow, too few, too late, or no rate was found."""
STOPPED: Final = 130
"""Ctrl-C."""

_BROKEN: Final = frozenset({"failed", "refused"})
"""Objectives on requests without an answer. The others are on how good the answers were."""


def exit_code(facts: RunFacts) -> int:
    """The code of a run whose objectives were judged."""
    if facts.fault:
        return FAILED
    if facts.cut_short:
        return STOPPED
    missed = {objective.name for objective in facts.objectives if not objective.met}
    if missed & _BROKEN:
        return FAILED
    return MISSED if missed else MET
