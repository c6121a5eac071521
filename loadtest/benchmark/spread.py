"""What is said of values that were taken several times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the smallest and largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """The spread of values in any order; None of no values."""
        return cls(statistics.median(values), min(values), max(values)) if values else None


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that this part of the values stays at or below (nearest rank).

    Args:
        values: In any order; at least one.
        fraction: More than 0, at most 1.

    Raises:
        ValueError: There are no values, or the fraction is none.
    """
    if not values:
        raise ValueError("a percentile needs at least one value")
    if not 0 < fraction <= 1:
        raise ValueError(f"a fraction is more than 0 and at most 1, got {fraction}")
    # Rounded first: 0.07 * 100 is a little more than 7.
    return sorted(values)[math.ceil(round(fraction * len(values), 9)) - 1]
