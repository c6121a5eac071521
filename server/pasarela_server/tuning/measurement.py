"""What was measured: slices of time under a steady load, and what several of them say together. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_MOST_KEPT = 1000
"""Latencies kept of one slice; more are thinned to as many order statistics."""
_MOST_REFUSED = 0.01
"""Share of refused requests above which a load is more than the model takes."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some seconds under a steady load: as many clients, each of which sends its next request when it was answered."""

    clients: int
    seconds: float
    completed: int
    """Requests answered in that time."""
    latencies_ms: tuple[float, ...]
    """Of these requests, ascending; thinned if there are many."""
    cpu_seconds: float
    """CPU time that the process took."""
    peak_mib: float
    """Most memory that it has had by the end."""
    refused: int = 0
    """Requests that found the queue full, or waited longer than it allows."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one candidate does under one load."""

    clients: int
    throughput: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float
    """Infinite if requests were refused."""
    cpu_ms: float
    """CPU time for each request."""
    requests: int
    """Measured."""
    peak_mib: float


def thin(latencies_ms: Iterable[float]) -> tuple[float, ...]:
    """Ascending, and no more of them than are kept: the extremes, and what lies between at even steps."""
    ascending = np.sort(np.fromiter(latencies_ms, float))
    if len(ascending) > _MOST_KEPT:
        ascending = np.quantile(ascending, np.linspace(0, 1, _MOST_KEPT))
    return tuple(round(float(each), 3) for each in ascending)


def pool(slices: Sequence[Slice]) -> Point:
    """What slices of the same load say together.

    Args:
        slices: At least one.
    """
    completed = sum(each.completed for each in slices)
    refused = sum(each.refused for each in slices)
    latencies = np.concatenate([each.latencies_ms for each in slices])
    turned_away = refused > _MOST_REFUSED * (completed + refused)
    p50, p99 = np.quantile(latencies, (0.5, 0.99)) if len(latencies) else (math.inf, math.inf)
    return Point(
        clients=slices[0].clients,
        throughput=completed / sum(each.seconds for each in slices),
        p50_ms=float(p50),
        p99_ms=math.inf if turned_away else float(p99),
        cpu_ms=1000 * sum(each.cpu_seconds for each in slices) / max(1, completed),
        requests=completed,
        peak_mib=max(each.peak_mib for each in slices),
    )


def points(slices: Iterable[Slice]) -> tuple[Point, ...]:
    """A point for each load, the lightest first."""
    by_clients: dict[int, list[Slice]] = {}
    for each in slices:
        by_clients.setdefault(each.clients, []).append(each)
    return tuple(pool(by_clients[clients]) for clients in sorted(by_clients))


def swing(slices: Sequence[Slice]) -> tuple[float, float]:
    """The lowest and the highest throughput of single slices under the load that was measured most; (0, 0) for none."""
    by_clients: dict[int, list[float]] = {}
    for each in slices:
        by_clients.setdefault(each.clients, []).append(each.completed / each.seconds)
    most = max(by_clients.values(), key=len, default=[0.0])
    return min(most), max(most)


def to_json(measured: Slice) -> dict[str, Any]:
    """A slice as JSON holds it."""
    return asdict(measured)


def from_json(content: Mapping[str, Any]) -> Slice:
    """What `to_json` made.

    Raises:
        TypeError: It is something else.
    """
    return Slice(**{**content, "latencies_ms": tuple(content.get("latencies_ms", ()))})
