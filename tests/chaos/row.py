"""A row of the table of faults: what is done to a server, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.clients import Load
from tests.chaos.tally import Counts

HEALTHY_ANSWERS = 60
"""Answers in a row after which everything is as it was."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault."""

    counts: Counts
    recover_s: float
    """From the fault until the last request that was not answered; 0 if every one was."""
    problems: tuple[str, ...] = ()
    """What is not as the table promises; empty if all is."""
    remarks: tuple[str, ...] = ()
    """Figures that belong to the row."""
    told: dict[str, int] = field(default_factory=dict)
    """What clients were told, and how often."""


class NotHere(Exception):
    """This machine cannot do what the row needs; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and how it is tried."""

    name: str
    """For command lines."""
    what: str
    """The fault, as the table calls it."""
    sees: str
    """What clients see of it."""
    run: Callable[[Path], Outcome]
    """Does it, with an empty folder of its own."""
    short: bool = False
    """Whether it takes seconds only, and so belongs to `make test`."""


class Findings:
    """Collects what is wrong while a row runs."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.remarks: list[str] = []

    def require(self, holds: object, words: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.problems.append(words)

    def outcome(self, load: Load, fault_s: float, *, may_fail: bool = False, may_refuse: bool = True) -> Outcome:
        """What the load tells, once it is over: nothing may be lost, and nothing wrong.

        Args:
            load: The load.
            fault_s: When the fault came (monotonic).
            may_fail: Whether requests may end with an error that leaves open whether something was done.
            may_refuse: Whether the server may turn requests away.
        """
        counts, told = load.tally.counts(), load.tally.words()
        self.require(not load.broken, f"a client broke: {load.broken}")
        self.require(counts.answered >= HEALTHY_ANSWERS, f"only {counts.answered} answers")
        self.require(counts.lost == 0, f"{counts.lost} requests were lost: {told}")
        self.require(counts.wrong == 0, f"{counts.wrong} answers were wrong: {told}")
        self.require(may_fail or not counts.failed, f"{counts.failed} requests failed: {told}")
        self.require(may_refuse or not counts.refused, f"{counts.refused} requests were refused: {told}")
        for words in told:
            self.require("Traceback" not in words, f"a client was told of the inside: {words}")
        return Outcome(counts, load.tally.recovery_s(fault_s), tuple(self.problems), tuple(self.remarks), told)

    def healthy(self, load: Load, patience_s: float = 60.0) -> None:
        """Waits until everything is answered again."""
        self.require(load.tally.wait_answers(HEALTHY_ANSWERS, patience_s), f"not healthy within {patience_s:g} s")
