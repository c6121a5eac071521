"""Latencies as a distribution: exact percentiles, the curve of all of them, and a histogram. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtest.report.requests import Floats

PERCENTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Those of tables."""
_POINTS_EACH_HALVING: Final = 8
_BINS: Final = 48


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of the curve of percentiles."""

    fraction: float
    """Part of the requests that took `latency_ms` at most."""
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar of a histogram."""

    from_ms: float
    """Inside."""
    to_ms: float
    """Outside, but for the last."""
    count: int


def percentile(values: Floats, fraction: float) -> float:
    """The smallest value that this part of the values stays at or below (nearest rank); NaN of no values.

    Args:
        values: In any order.
        fraction: More than 0, at most 1.
    """
    if not len(values):
        return math.nan
    # Rounded first: 0.07 * 100 is a little more than 7.
    rank = max(0, math.ceil(round(fraction * len(values), 9)) - 1)
    return float(np.partition(values, rank)[rank])


def percentile_curve(values: Floats) -> list[CurvePoint]:
    """The latency at each percentile, closer together towards the end, as far as there are values to tell.

    The points halve what is left of the requests in equal steps, so that p90, p99 and p99.9 lie equally far apart where
    the curve is drawn over the logarithm of what is left. The last is the longest latency.
    """
    if not len(values):
        return []
    ordered = np.sort(values)
    count = len(ordered)
    points: list[CurvePoint] = []
    step = 0
    while (left := 0.5 ** (step / _POINTS_EACH_HALVING)) * count > 1:
        fraction = 1 - left
        rank = max(0, math.ceil(round(fraction * count, 9)) - 1)
        points.append(CurvePoint(fraction, float(ordered[rank])))
        step += 1
    points.append(CurvePoint(1.0, float(ordered[-1])))
    return points


def histogram(values: Floats) -> list[Bin]:
    """How often latencies lay in bins of equal ratio, from the shortest to the longest; together all of the values."""
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())
    if low <= 0 or high <= low * 1.0001:
        return [Bin(low, high, len(values))]
    bins = max(1, min(_BINS, math.ceil(math.sqrt(len(values))) * 2))
    edges = np.geomspace(low, high, bins + 1)
    edges[0], edges[-1] = low, high  # as they are, whatever the logarithm rounds
    counts, _ = np.histogram(values, edges)
    return [Bin(float(a), float(b), int(count)) for a, b, count in zip(edges[:-1], edges[1:], counts, strict=True)]
