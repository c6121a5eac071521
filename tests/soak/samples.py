"""What a server holds over time, and how much more it is at the end. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WARM_UP = 0.25
"""Of the time: what is held in the beginning is no growth."""
_WINDOW = 0.2


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment."""

    at_s: float
    rss_mb: float
    threads: int
    descriptors: int


def growth(samples: Sequence[Sample], whole_s: float) -> float:
    """By which share memory grew, from the time after the warm-up to the end: 0.01 is a hundredth.

    Raises:
        ValueError: There are no samples in one of the two.
    """
    first = [each.rss_mb for each in samples if WARM_UP * whole_s <= each.at_s < (WARM_UP + _WINDOW) * whole_s]
    last = [each.rss_mb for each in samples if each.at_s >= (1 - _WINDOW) * whole_s]
    if not first or not last:
        raise ValueError("too few samples to tell growth")
    before = statistics.median(first)
    return (statistics.median(last) - before) / before
