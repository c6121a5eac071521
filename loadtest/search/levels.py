"""Where the knee is, by the levels of a run in steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.search.judgement import Judge
from loadtest.search.probe import Probe

_NEAR_THE_TOP: Final = 0.95


@dataclass(frozen=True, slots=True)
class Knee:
    """Between which levels the server ceases to keep up."""

    holds: float | None
    """The highest level below the first that failed; None if the first did."""
    fails: float | None
    """The first level that failed; None if all held."""


def knee_of_rates(probes: Sequence[Probe], judge: Judge) -> Knee:
    """The knee in steps of rates, in any order; several at one rate are judged together."""
    by_rate: dict[float, list[Probe]] = {}
    for probe in probes:
        by_rate.setdefault(probe.rate, []).append(probe)
    holds: float | None = None
    for rate in sorted(by_rate):
        if not judge(by_rate[rate]).holds:
            return Knee(holds, rate)
        holds = rate
    return Knee(holds, None)


def knee_of_users(throughputs: Sequence[tuple[int, float]]) -> tuple[int, float]:
    """The fewest users with which the throughput is near its highest, and that highest.

    Args:
        throughputs: Users and answers per second of each step; at least one.
    """
    top = max(per_second for _, per_second in throughputs)
    return min(users for users, per_second in throughputs if per_second >= _NEAR_THE_TOP * top), top
