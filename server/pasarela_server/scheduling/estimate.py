"""How long work takes, from how long it took lately. Not thread-safe."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

FEWEST_SAMPLES = 4
"""Fewer say nothing: the first executions are no measure of those that follow."""
MOST_SAMPLES = 32
MAX_AGE_S = 10.0
"""What was measured before that is forgotten, so an estimate that refuses everything lasts no longer."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long something takes, in seconds; zeros where nothing is known."""

    least_s: float = 0.0
    """It hardly ever takes less."""
    likely_s: float = 0.0
    """It seldom takes more."""

    def __or__(self, other: Span) -> Span:
        """The longer of two."""
        return Span(max(self.least_s, other.least_s), max(self.likely_s, other.likely_s))

    def __add__(self, other: Span) -> Span:
        """One after the other."""
        return Span(self.least_s + other.least_s, self.likely_s + other.likely_s)

    def __mul__(self, factor: float) -> Span:
        """So many times as long."""
        return Span(self.least_s * factor, self.likely_s * factor)


UNKNOWN = Span()
_KEPT_S = 0.05
"""How long a result is kept: small models are asked more often than their figures change."""


class DurationEstimate:
    """Of one kind of work: the shortest of the last samples, and what four of five of them did not exceed."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=MOST_SAMPLES)
        self._span: Span | None = UNKNOWN
        """None when it has to be computed anew: samples come more often than questions."""

    def add(self, seconds: float, now_s: float) -> None:
        """Takes notice of work that took so long and has just ended."""
        self._samples.append((now_s, seconds))
        self._span = None

    def span(self, now_s: float) -> Span:
        """How long the next will take."""
        if not self._samples or self._samples[-1][0] < now_s - MAX_AGE_S:
            return UNKNOWN
        if self._span is None:
            self._span = self._compute(self._samples[-1][0])
        return self._span

    def _compute(self, last_s: float) -> Span:
        ranked = sorted(seconds for at_s, seconds in self._samples if at_s >= last_s - MAX_AGE_S)
        if len(ranked) < FEWEST_SAMPLES:
            return UNKNOWN
        return Span(ranked[0], ranked[math.ceil(0.8 * len(ranked)) - 1])


class BatchTimes:
    """How long an instance is busy with a batch, by the batch's rows."""

    def __init__(self) -> None:
        self._by_rows: dict[int, DurationEstimate] = {}
        self._spans: dict[int, Span] = {}
        self._spans_until_s = -math.inf

    def add(self, rows: int, seconds: float, now_s: float) -> None:
        """Takes notice of a batch of so many rows that kept an instance busy so long, until now."""
        estimate = self._by_rows.get(rows)
        if estimate is None:
            estimate = self._by_rows[rows] = DurationEstimate()
        estimate.add(seconds, now_s)

    def span(self, rows: int, now_s: float) -> Span:
        """How long a batch of so many rows will keep an instance busy.

        What larger and smaller batches took bounds it from below: more rows take no less time, and half the rows no
        less than half the time.
        """
        if now_s > self._spans_until_s:
            self._spans.clear()
            self._spans_until_s = now_s + _KEPT_S
        span = self._spans.get(rows)
        if span is None:
            span = UNKNOWN
            for known, estimate in self._by_rows.items():
                span |= estimate.span(now_s) * min(1.0, rows / known)
            self._spans[rows] = span
        return span
