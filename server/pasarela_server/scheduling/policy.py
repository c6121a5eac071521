"""When to close a batch: a pure decision on what waits, asked each time that an instance is free.

The rules are those of Triton's dynamic batcher: rows are counted, not requests; requests of one batch have the same
shapes and leave in the order in which they came; without a delay an idle instance takes at once what is there.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingPolicy:
    """How one model's requests are batched and how many may wait."""

    max_rows: int = 1
    """Rows that fit into one execution."""
    merge: bool = True
    """False: every request is executed alone, however many rows it has."""
    preferred_rows: tuple[int, ...] = ()
    """Batch sizes that leave at once when they are reached, without waiting for the delay."""
    max_queue_delay_s: float = 0.0
    """How long the oldest request may wait for the batch to grow while an instance is free."""

    def __post_init__(self) -> None:
        if self.max_rows < 1:
            raise ValueError(f"max_rows is {self.max_rows}; a batch holds at least 1 row")
        if not (math.isfinite(self.max_queue_delay_s) and self.max_queue_delay_s >= 0):
            raise ValueError(f"max_queue_delay_s is {self.max_queue_delay_s}; it is a time of 0 seconds or more")
        for rows in self.preferred_rows:
            if not 1 <= rows <= self.max_rows:
                raise ValueError(f"preferred_rows holds {rows}; a batch has from 1 to {self.max_rows} rows")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the decision needs to know of one request in the queue."""

    rows: int
    shape: Hashable
    """Equal for requests that may share a batch."""
    enqueued_s: float


class CloseReason(enum.Enum):
    """Why a batch was closed."""

    FULL = "full"
    """It holds `max_rows`, or the next request does not fit any more."""
    SHAPE = "shape"
    """The next request has other shapes."""
    PREFERRED = "preferred"
    """A preferred size was reached."""
    DELAY = "delay"
    """The oldest request has waited long enough."""
    IDLE = "idle"
    """An instance is free and no delay was asked for."""
    ALONE = "alone"
    """The policy merges nothing."""


@dataclass(frozen=True, slots=True)
class Take:
    """Execute the `count` oldest requests now."""

    count: int
    reason: CloseReason


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to execute yet: ask again when a request arrives, or after `seconds` (None: only then)."""

    seconds: float | None


def decide(waiting: Iterable[Waiting], policy: BatchingPolicy, now_s: float) -> Take | Wait:
    """Decides what a free instance does next.

    Args:
        waiting: The queue, the next to be executed first; with priorities that need not be the oldest. Only as much of
            it as fits into a batch is read.
        policy: The model's batching policy.
        now_s: The time, on the clock that stamped `enqueued_s`.
    """
    first: Waiting | None = None
    oldest_s = math.inf
    count = rows = preferred_count = 0
    closed: CloseReason | None = None
    for entry in waiting:
        first = first or entry
        closed = _closed_by(entry, first, rows, policy)
        if closed is not None:
            break
        count += 1
        oldest_s = min(oldest_s, entry.enqueued_s)
        rows += entry.rows
        if rows in policy.preferred_rows:
            preferred_count = count
    if rows >= policy.max_rows:
        closed = CloseReason.FULL
    elif count and not policy.merge:
        closed = CloseReason.ALONE
    if first is None:
        return Wait(None)
    remaining_s = policy.max_queue_delay_s - (now_s - oldest_s)
    if preferred_count and (remaining_s > 0 or policy.max_queue_delay_s == 0):
        return Take(preferred_count, CloseReason.PREFERRED)
    if closed is not None:
        return Take(count, closed)
    if policy.max_queue_delay_s == 0:
        return Take(count, CloseReason.IDLE)
    if remaining_s <= 0:
        return Take(count, CloseReason.DELAY)
    return Wait(remaining_s)


def _closed_by(entry: Waiting, first: Waiting, rows: int, policy: BatchingPolicy) -> CloseReason | None:
    """Why a batch of `rows` rows that began with `first` cannot take `entry` too; None if it can."""
    if rows and not policy.merge:
        return CloseReason.ALONE
    if entry.shape != first.shape:
        return CloseReason.SHAPE
    if rows and rows + entry.rows > policy.max_rows:
        return CloseReason.FULL
    return None
