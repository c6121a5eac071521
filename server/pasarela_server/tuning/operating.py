"""At which load a candidate does best, and what cannot be had together: latency against throughput. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pasarela_server.tuning.measurement import Point

_AS_GOOD = 0.97
"""Of the highest throughput: a lighter load that reaches it is preferred, since more clients only wait longer."""


def operating_point(found: Sequence[Point], target_ms: float | None) -> Point | None:
    """The load at which a candidate does best: most throughput with a p99 that keeps the target.

    Args:
        found: A point for each load, the lightest first.
        target_ms: Bound on the 99th percentile of latency; None for no bound but that nobody is refused.

    Returns:
        None if no load keeps the target.
    """
    bound = math.inf if target_ms is None else target_ms
    kept = [point for point in found if point.p99_ms <= bound and math.isfinite(point.p99_ms)]
    if not kept:
        return None
    best = max(point.throughput for point in kept)
    return next(point for point in kept if point.throughput >= _AS_GOOD * best)


def fastest(found: Sequence[Point]) -> Point | None:
    """The load with the lowest p99; None if there is no measurement."""
    return min(found, key=lambda point: point.p99_ms, default=None)


def frontier(found: Sequence[Point]) -> tuple[Point, ...]:
    """The points than which no other has both more throughput and a lower p99, the lowest latency first."""
    kept: list[Point] = []
    for point in sorted(found, key=lambda point: (point.p99_ms, -point.throughput)):
        if math.isfinite(point.p99_ms) and (not kept or point.throughput > kept[-1].throughput):
            kept.append(point)
    return tuple(kept)
