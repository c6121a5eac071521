"""What one try at a rate showed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.records import BAD, RequestRecord

_WINDOWS: Final = 8
_SHORTEST_WINDOW: Final = 3
"""Requests in a window, at least: their mean has to mean something."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One try at a rate."""

    rate: float
    """Requests per second that were offered."""
    requests: int
    missed: int
    """Those that did not keep the limit: they took longer, or got no answer."""
    failed: int
    """Those of them that got no answer, also as their deadline ended them."""
    drift: float
    """By how many seconds the latency grew in a second of load: at a rate of (1 + x) times what a server can do, x."""
    drift_error: float
    """The standard error of `drift`."""


def measure_probe(rate: float, records: Iterable[RequestRecord], limit_s: float = math.inf) -> Probe:
    """Sums up a try.

    Args:
        rate: Requests per second that were offered.
        records: All of its requests.
        limit_s: The latency to keep.
    """
    taken = list(records)
    failed = sum(record.outcome in BAD and not record.answered for record in taken)
    answered = [
        (record.due_s, latency_s) for record in taken if (latency_s := record.latency_s) is not None and record.answered
    ]
    missed = failed + sum(latency_s > limit_s for _, latency_s in answered)
    drift, error = latency_drift(answered)
    return Probe(rate, len(taken), missed, failed, drift, error)


def latency_drift(answered: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """How latency grows with time: the slope of a line through the means of windows, and its standard error.

    Windows, as the latencies of neighbours hang together: each by itself would pretend to know much more.

    Args:
        answered: When each request was due, and its latency, both in seconds.

    Returns:
        Seconds per second; an infinite error if there are too few to tell.
    """
    ordered = sorted(answered)
    size = max(_SHORTEST_WINDOW, math.ceil(len(ordered) / _WINDOWS))
    windows = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    if windows and len(windows[-1]) < _SHORTEST_WINDOW:
        windows.pop()
    if len(windows) < 3:
        return 0.0, math.inf
    times = [statistics.fmean(due for due, _ in window) for window in windows]
    means = [statistics.fmean(latency for _, latency in window) for window in windows]
    slope, intercept = statistics.linear_regression(times, means)
    rest = sum((mean - intercept - slope * time) ** 2 for time, mean in zip(times, means, strict=True))
    centre = statistics.fmean(times)
    spread = sum((time - centre) ** 2 for time in times)
    return slope, math.sqrt(rest / (len(windows) - 2) / spread)
