"""Requests that come when they come, whether or not the server keeps up: when they are sent, and how they fared. Pure.

Latency counts from the time at which a request was due, not from when the generator got round to sending it: a
generator that waits for a slow server would otherwise leave out just the waiting that its users see.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loadtest.benchmark.spread import percentile

Pattern = Literal["even", "poisson"]
Fate = Literal["answered", "refused", "expired", "failed"]
"""answered: in time or not; refused: the server said no; expired: the deadline ended it; failed: anything else."""


def due_times(rate: float, seconds: float, pattern: Pattern, seed: int = 0) -> list[float]:
    """When each request is due, in seconds after the start.

    Args:
        rate: Requests per second, on the average.
        seconds: Length of the schedule.
        pattern: `even`: always the same gap. `poisson`: independent users, who come in bunches at times.
        seed: Of the gaps; the same seed gives the same gaps.
    """
    if rate <= 0:
        raise ValueError(f"requests per second must be more than 0, got {rate}")
    if pattern == "even":
        return [number / rate for number in range(round(rate * seconds))]
    gaps, times, now = random.Random(seed), list[float](), 0.0
    while (now := now + gaps.expovariate(rate)) < seconds:
        times.append(now)
    return times


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request fared."""

    fate: Fate
    due_s: float
    """After the start of the schedule."""
    elapsed_ms: float
    """From when it was due until its client knew."""


@dataclass(frozen=True, slots=True)
class Fares:
    """How all requests of a schedule fared, as figures."""

    sent: int
    goodput_per_second: float
    """Answers within the deadline that came before the schedule's end, per second of it."""
    p50_ms: float
    p99_ms: float
    """Of the answers; infinite without any."""
    refused: int
    late: int
    """Answered after the deadline, or ended by it."""
    failed: int
    longest_refusal_ms: float
    """Until the last of those that got no answer in time knew; 0 if all got one."""
    p99_refusal_ms: float


def account(outcomes: Sequence[Outcome], seconds: float, deadline_ms: float) -> Fares:
    """Adds up a schedule's outcomes.

    Args:
        outcomes: One for each request.
        seconds: Length of the schedule.
        deadline_ms: After it an answer is worth nothing.
    """
    answers = [one.elapsed_ms for one in outcomes if one.fate == "answered"]
    timely = [one for one in outcomes if one.fate == "answered" and one.elapsed_ms <= deadline_ms]
    good = sum(one.due_s + one.elapsed_ms / 1e3 <= seconds for one in timely)
    unserved = [one.elapsed_ms for one in outcomes if one.fate != "answered" or one.elapsed_ms > deadline_ms]
    return Fares(
        sent=len(outcomes),
        goodput_per_second=good / seconds,
        p50_ms=percentile(answers, 0.5) if answers else float("inf"),
        p99_ms=percentile(answers, 0.99) if answers else float("inf"),
        refused=sum(one.fate == "refused" for one in outcomes),
        late=sum(one.fate == "expired" for one in outcomes) + len(answers) - len(timely),
        failed=sum(one.fate == "failed" for one in outcomes),
        longest_refusal_ms=max(unserved, default=0.0),
        p99_refusal_ms=percentile(unserved, 0.99) if unserved else 0.0,
    )
