"""Histograms as metrics tell them: what was added between two readings, and its percentiles. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values fell below each of some bounds."""

    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets, rising, the last one without a bound left out."""
    counts: tuple[float, ...] = ()
    """What each bucket holds; one more than there are bounds."""
    total: float = 0.0
    """The sum of the values."""

    @classmethod
    def of(cls, buckets: Mapping[float, float], total: float = 0.0) -> Histogram:
        """The histogram of Prometheus' buckets.

        Args:
            buckets: By upper bound (infinity for the last) the number of values up to it.
            total: The sum of the values.
        """
        bounds = sorted(buckets)
        upto = [buckets[bound] for bound in bounds]
        counts = [max(0.0, now - before) for now, before in zip(upto, [0.0, *upto], strict=False)]
        if not bounds or bounds[-1] != math.inf:
            bounds, counts = [*bounds, math.inf], [*counts, 0.0]
        return cls(tuple(bounds[:-1]), tuple(counts), total)

    @property
    def count(self) -> float:
        """How many values there are."""
        return sum(self.counts)

    def __sub__(self, earlier: Histogram) -> Histogram:
        """What was added since an earlier reading; all of it if counting began anew in between."""
        if earlier.bounds != self.bounds:
            return self
        grown = tuple(now - then for now, then in zip(self.counts, earlier.counts, strict=True))
        return Histogram(self.bounds, grown, self.total - earlier.total) if min(grown, default=0.0) >= 0 else self

    def __add__(self, other: Histogram) -> Histogram:
        """Both together; the bounds are the same, or one of them is empty."""
        if not self.bounds or not other.bounds:
            return self if self.bounds else other
        if self.bounds != other.bounds:
            raise ValueError(f"histograms of different bounds: {self.bounds} and {other.bounds}")
        counts = tuple(one + two for one, two in zip(self.counts, other.counts, strict=True))
        return Histogram(self.bounds, counts, self.total + other.total)

    def percentile(self, percent: float) -> float | None:
        """The value that so many percent of the values do not exceed, as well as the buckets tell.

        In its bucket the values are taken to be spread evenly. It is infinite if it lies beyond the last bound, and
        None if there are no values.
        """
        rank = self.count * percent / 100
        if self.count <= 0:
            return None
        below = 0.0
        bottom = min(0.0, *self.bounds[:1], 0.0)
        for lower, upper, held in zip((bottom, *self.bounds), (*self.bounds, math.inf), self.counts, strict=True):
            if held and below + held >= rank:
                if upper == math.inf:
                    return upper
                return lower + (upper - lower) * max(0.0, rank - below) / held
            below += held
        return math.inf
