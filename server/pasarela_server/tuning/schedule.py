"""How the time for tuning is divided: loads to try, candidates, rounds and the seconds of one slice. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

REPEATS = 7
"""Of the confirmation: that a candidate of the same worth is better in all of them happens once in 128."""

_LEAST_SLICE_S = 0.4
_MOST_SLICE_S = 2.0
_MOST_LEVELS = 6
_FOR_EACH_INSTANCE = 4
_FOR_EACH_ROW = 2
"""Clients: while one batch is executed the next one gathers."""
_TURNS = 2
"""How often two that are compared take turns in a round after the first."""
_LONGER = 2.0
"""A slice of a later round, over one of the first."""
_CONFIRMED = 1.5
"""A slice of the confirmation, over one of the first round."""
_CONFIRMED_LOADS = 2
"""Under how many loads the finalists are compared, mostly."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to measure what."""

    levels: tuple[int, ...]
    """Clients at a time, in the first round; later each candidate has the load where it does best."""
    candidates: int
    """How many there is time for."""
    slice_s: float
    """Of the first round."""
    turns: int = _TURNS
    repeats: int = REPEATS
    total_s: float = 0.0
    """All of it, loading the model included, as far as it can be told."""
    slices: int = 0
    """All of them, as far as it can be told."""

    def left_s(self, done: int, elapsed_s: float) -> float:
        """How long it still takes, after so many slices in such a time."""
        part = min(1.0, done / max(1, self.slices))
        return (1 - part) * max(self.total_s, elapsed_s / part if part else 0.0)

    def seconds(self, number: int) -> float:
        """Of one slice of a round, the first being 0."""
        return self.slice_s * (_LONGER if number else 1.0)

    @property
    def confirm_s(self) -> float:
        """Of one slice of the confirmation."""
        return self.slice_s * _CONFIRMED


def client_levels(instances: int, rows: int, most_waiting: int) -> tuple[int, ...]:
    """How many clients to try at a time: from one to enough that nothing idles while others are being answered.

    Args:
        instances: Most that a candidate has.
        rows: Most that a candidate executes at the same time.
        most_waiting: Requests that may wait before one more is refused.
    """
    most = max(1, min(max(_FOR_EACH_INSTANCE * instances, _FOR_EACH_ROW * rows), most_waiting))
    step = 2
    while step ** (_MOST_LEVELS - 1) < most:
        step += 1
    levels = [step**power for power in range(_MOST_LEVELS) if step**power < most]
    return (*levels, most)


def plan_schedule(candidates: int, levels: tuple[int, ...], budget_s: float, load_s: float, finalists: int) -> Schedule:
    """Divides the time.

    Args:
        candidates: How many are worth measuring, without the baseline.
        levels: Clients at a time.
        budget_s: For everything that is still to come.
        load_s: That loading the model once takes.
        finalists: Most that the confirmation compares.

    Returns:
        A schedule for as many candidates as the time allows, at least one.
    """
    for count in range(candidates, 0, -1):
        left_s = budget_s - load_s * _loads(count, finalists)
        slice_s = left_s / _slices(count, len(levels), finalists)
        if slice_s >= _LEAST_SLICE_S or count == 1:
            slice_s = min(_MOST_SLICE_S, max(_LEAST_SLICE_S, slice_s))
            total_s = slice_s * _slices(count, len(levels), finalists) + load_s * _loads(count, finalists)
            first, *later = _rounds(count)
            slices = 2 * len(levels) * first + 2 * _TURNS * sum(later) + REPEATS * finalists * _CONFIRMED_LOADS
            return Schedule(levels, count, slice_s, total_s=total_s, slices=slices)
    total_s = _MOST_SLICE_S * _CONFIRMED * len(levels)
    return Schedule(levels, 0, _MOST_SLICE_S, total_s=total_s, slices=len(levels))


def _rounds(candidates: int) -> list[int]:
    """How many are measured in each round."""
    counts = [candidates]
    while counts[-1] > 1:
        counts.append(math.ceil(counts[-1] / 2))
    return counts


def _slices(candidates: int, levels: int, finalists: int) -> float:
    """All of them, counted in slices of the first round."""
    first, *later = _rounds(candidates)
    in_rounds = 2 * levels * first + sum(2 * _TURNS * _LONGER * count for count in later)
    return in_rounds + REPEATS * finalists * _CONFIRMED_LOADS * _CONFIRMED


def _loads(candidates: int, finalists: int) -> int:
    return sum(_rounds(candidates)) + finalists - 1
