"""The figures of a comparison: percentiles, ratios taken round by round, and the table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and how far they reach."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int) -> str:
        """Median (lowest to highest)."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured of one variant. Latencies in milliseconds, rates in images per second."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    network_p50_ms: float
    rate: float
    network_rate: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed.

    Args:
        values: At least one.
        share: Above 0, at most 1.
    """
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Value over base, round by round: what slows a whole round down cancels out."""
    return Spread.of([value / other for value, other in zip(values, base, strict=True)])


def rotated(names: Sequence[str], round_number: int) -> list[str]:
    """The order of a round: each name comes first as often as the others."""
    start = round_number % len(names)
    return [*names[start:], *names[:start]]


def base_variant(names: Sequence[str]) -> str:
    """What the others are compared with: PyTorch, or the first."""
    return "pytorch" if "pytorch" in names else names[0]


def spread(rounds: Sequence[Round], figure: str) -> Spread:
    """One figure of `Round` over the rounds."""
    return Spread.of(figures(rounds, figure))


def figures(rounds: Sequence[Round], figure: str) -> list[float]:
    """One figure of `Round`, round by round."""
    return [float(getattr(one, figure)) for one in rounds]


HEADER = (
    "variant",
    "mAP50-95",
    "latency p50 ms",
    "p90 ms",
    "p99 ms",
    "network p50 ms",
    "images/s",
    "network images/s",
    "faster (latency)",
    "faster (images/s)",
)


def rows(
    titles: Mapping[str, str], accuracy: Mapping[str, float], rounds: Mapping[str, Sequence[Round]]
) -> list[list[str]]:
    """The table's rows; medians over the rounds (lowest to highest)."""
    base = rounds[base_variant(list(rounds))]
    return [
        [
            titles[name],
            f"{accuracy[name]:.4f}" if name in accuracy else "",
            spread(taken, "p50_ms").text(1),
            spread(taken, "p90_ms").text(1),
            spread(taken, "p99_ms").text(1),
            spread(taken, "network_p50_ms").text(1),
            spread(taken, "rate").text(0),
            spread(taken, "network_rate").text(0),
            ratios(figures(base, "p50_ms"), figures(taken, "p50_ms")).text(2),
            ratios(figures(taken, "rate"), figures(base, "rate")).text(2),
        ]
        for name, taken in rounds.items()
    ]


def table(lines: Sequence[Sequence[str]]) -> list[str]:
    """The table in Markdown."""
    rule = ["---", *["---:"] * (len(HEADER) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (HEADER, rule, *lines)]
