"""When requests are due that come whether or not earlier ones were answered, and who of several sends which.

All who send walk through the same sequence and take every so-manieth of it: together they send exactly what one alone
would send.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.plan.steps import PlacedStep, Step
from loadtest.scenario.loads import Arrivals

_ROUNDING: Final = 1e-9
"""A request that is due at the end of a step, but for the rounding, belongs to what follows."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that is due."""

    number: int
    """Counted over all who send, from 0 in each step."""
    due_s: float
    """On the run's clock."""
    step: int
    """The step's index."""


def arrivals(placed: PlacedStep, pattern: Arrivals, seed: int, share: int = 0, shares: int = 1) -> Iterator[Arrival]:
    """The requests of a step that one of several is to send, in order.

    Args:
        placed: An open step.
        pattern: `even`: always the same gap, or one that changes evenly. `poisson`: at random.
        seed: Of the random gaps; the same for all who send. Each step has gaps of its own.
        share: Which of them this one is, from 0.
        shares: How many send.
    """
    for number, after_s in enumerate(_times(placed.step, pattern, random.Random(f"{seed}/{placed.index}"))):
        if number % shares == share:
            yield Arrival(number, placed.begins_s + after_s, placed.index)


def _times(step: Step, pattern: Arrivals, chance: random.Random) -> Iterator[float]:
    """Seconds after the step's beginning: where the requests offered until then reach 0, 1, 2 and so on."""
    offered = 0.0 if pattern == "even" else chance.expovariate(1.0)
    while offered < step.offered - _ROUNDING:
        yield _when(step, offered)
        offered += 1.0 if pattern == "even" else chance.expovariate(1.0)


def _when(step: Step, offered: float) -> float:
    """When so many requests have been offered, with a rate that runs straight from one value to another.

    offered = rate_from · t + slope / 2 · t², solved for t in the form that is exact without a slope, too.
    """
    if step.rate_from is None or step.rate_to is None:
        raise ValueError(f"{step.name} is a closed loop: nothing is due in it")
    slope = (step.rate_to - step.rate_from) / step.seconds
    return 2 * offered / (step.rate_from + math.sqrt(max(0.0, step.rate_from**2 + 2 * slope * offered)))


def choose(weights: Sequence[float], seed: int, number: int) -> int:
    """Which entry the request of a number is for, by weight and at random; the same for whoever sends it."""
    if len(weights) == 1:
        return 0
    return random.Random(f"{seed}:{number}").choices(range(len(weights)), weights)[0]


class Turns:
    """Entries in turn, as often as their weights say, and at every moment as evenly as can be.

    Each of several who take turns begins elsewhere, so that those of them who take few still take all entries.
    """

    def __init__(self, weights: Sequence[float], share: int = 0, shares: int = 1) -> None:
        self._weights = tuple(weights)
        self._credit = [0.0] * len(self._weights)
        for _ in range(len(self._weights) * share // shares):
            next(self)

    def __next__(self) -> int:
        """The index of the next entry."""
        for index, weight in enumerate(self._weights):
            self._credit[index] += weight
        best = max(range(len(self._credit)), key=self._credit.__getitem__)
        self._credit[best] -= sum(self._weights)
        return best
