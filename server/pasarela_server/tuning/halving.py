"""Successive halving: who stays for the next, longer round, and whether the winner is really better. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pasarela_server.tuning.measurement import Point, Slice, points, pool
from pasarela_server.tuning.operating import fastest, operating_point

_HOPELESS = 0.75
"""Of the baseline's worth, measured beside it: below, no longer measurement will turn it round."""
_LEAST_GAIN = 0.02
"""What a change of the configuration must bring."""
_ERRORS = 2
"""How many standard errors of the repeats the gain must be: one repeat that went well by chance does not make it."""

C = TypeVar("C", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a candidate did in one round against the baseline, measured beside it."""

    ratio: float
    """Of their throughputs, each at the load where it does best. 0 if the candidate misses the target, infinite if only
    the baseline does."""
    p99_ms: float
    """The lowest that it reached: decides among those that miss the target."""


def standing(candidate: Sequence[Point], baseline: Sequence[Point], target_ms: float | None) -> Standing:
    """Compares what was measured side by side.

    Args:
        candidate: A point for each load, the lightest first.
        baseline: The same of the baseline.
        target_ms: Bound on p99, if there is one.
    """
    mine, its = operating_point(candidate, target_ms), operating_point(baseline, target_ms)
    lowest = fastest(candidate)
    p99_ms = math.inf if lowest is None else lowest.p99_ms
    if mine is None:
        return Standing(0.0, p99_ms)
    return Standing(math.inf if its is None else mine.throughput / its.throughput, p99_ms)


def survivors(standings: Mapping[C, Standing]) -> tuple[C, ...]:
    """The better half, best first, without those that are hopeless; all may be."""
    ranked = sorted(standings, key=lambda each: (-standings[each].ratio, standings[each].p99_ms))
    half = ranked[: math.ceil(len(ranked) / 2)]
    nobody_keeps_the_target = all(each.ratio == 0 for each in standings.values())
    return tuple(each for each in half if nobody_keeps_the_target or standings[each].ratio >= _HOPELESS)


@dataclass(frozen=True, slots=True)
class Verdict(Generic[C]):
    """What to run, and how it compared in each repeat."""

    choice: C
    reason: str
    ratios: Mapping[C, tuple[float, ...]] = field(default_factory=dict)
    """Of each finalist but the first: its throughput over that of the first, repeat by repeat."""


def judge(
    finalists: Sequence[C], repeats: Sequence[Mapping[C, Sequence[Slice]]], target_ms: float | None
) -> Verdict[C]:
    """Chooses among finalists that were measured in turns, all under the same loads.

    Each is taken at the load where it does best over all repeats. One takes another's place only if it did more in
    every repeat, and more on the whole than by what the repeats differ.

    Args:
        finalists: The configuration as it is first; then what else could be kept; the winner of the rounds last.
        repeats: In each, the slices of every finalist.
        target_ms: Bound on p99 over all repeats.
    """
    first = finalists[0]
    runs = {each: _run(each, repeats, target_ms) for each in finalists}
    ratios = {each: _ratios(runs[each], runs[first]) for each in finalists[1:]}
    for place in range(len(finalists) - 1, 0, -1):
        one = finalists[place]
        if all(_beats(runs[one], runs[other]) for other in finalists[:place]):
            return Verdict(one, f"better in each of {len(repeats)} repeats", ratios)
    return Verdict(first, "nothing was better in every repeat, by more than the repeats differ", ratios)


@dataclass(frozen=True, slots=True)
class _Run:
    """One finalist in all repeats, at the load where it does best."""

    keeps: bool
    """Whether it keeps the target there."""
    throughputs: tuple[float, ...]
    """Repeat by repeat."""


def _run(one: C, repeats: Sequence[Mapping[C, Sequence[Slice]]], target_ms: float | None) -> _Run:
    found = points(each for repeat in repeats for each in repeat[one])
    best = operating_point(found, target_ms)
    shown = best or fastest(found)
    clients = 0 if shown is None else shown.clients
    at_that_load = [[each for each in repeat[one] if each.clients == clients] for repeat in repeats]
    return _Run(best is not None, tuple(pool(slices).throughput for slices in at_that_load))


def _beats(one: _Run, other: _Run) -> bool:
    if not one.keeps or not other.keeps:
        return one.keeps
    ratios = _ratios(one, other)
    if min(ratios) < 1 or statistics.median(ratios) < 1 + _LEAST_GAIN:
        return False
    if math.inf in ratios or len(ratios) < 2:
        return True
    gains = [math.log(ratio) for ratio in ratios]
    return statistics.mean(gains) >= _ERRORS * statistics.stdev(gains) / math.sqrt(len(gains))


def _ratios(one: _Run, other: _Run) -> tuple[float, ...]:
    return tuple(mine / its if its else math.inf for mine, its in zip(one.throughputs, other.throughputs, strict=True))
