"""When to close a batch: a pure decision on what waits, asked each time that an instance is free.

The rules are those of Triton's dynamic batcher: rows are counted, not requests; without a delay an idle instance takes
at once what is there. Two go beyond it: requests of other shapes wait in lines of their own and do not close a batch,
and a batch waits for no longer than the deadlines of its requests allow.
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

    @property
    def ripe_rows(self) -> int:
        """A line with fewer rows leaves only when its oldest request has waited long enough."""
        return min(self.preferred_rows, default=self.max_rows) if self.merge else 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the decision needs to know of one request in the queue."""

    rows: int
    shape: Hashable
    """Equal for requests that may share a batch."""
    enqueued_s: float
    deadline_s: float = math.inf
    """When the answer is of no use any more."""


class CloseReason(enum.Enum):
    """Why a batch was closed."""

    FULL = "full"
    """It holds `max_rows`, or the next request does not fit any more."""
    PREFERRED = "preferred"
    """A preferred size was reached."""
    DELAY = "delay"
    """The oldest request has waited long enough."""
    DEADLINE = "deadline"
    """A request of it would be late otherwise."""
    IDLE = "idle"
    """An instance is free and no delay was asked for."""
    ALONE = "alone"
    """The policy merges nothing."""


@dataclass(frozen=True, slots=True)
class Take:
    """Execute the first `count` requests of the line that waits for `shape`, now."""

    count: int
    reason: CloseReason
    shape: Hashable = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to execute yet: ask again when a request arrives, or after `seconds` (None: only then)."""

    seconds: float | None


def decide(
    lines: Iterable[tuple[Hashable, Iterable[Waiting]]], policy: BatchingPolicy, now_s: float, service_s: float = 0.0
) -> Take | Wait:
    """Decides what a free instance does next: the first line that is due gives the batch.

    Args:
        lines: What waits, by shape: first the line of the request that is next. Of the others, those may be left out
            that have fewer than `policy.ripe_rows`, and neither the oldest request of a priority level nor the one with
            the earliest deadline: they cannot be due before one that is named.
        policy: The model's batching policy.
        now_s: The time, on the clock that stamped `enqueued_s`.
        service_s: What an execution takes at least.
    """
    seconds: float | None = None
    for shape, waiting in lines:
        step = decide_line(waiting, policy, now_s, service_s)
        if isinstance(step, Take):
            return Take(step.count, step.reason, shape)
        if step.seconds is not None:
            seconds = step.seconds if seconds is None else min(seconds, step.seconds)
    return Wait(seconds)


def decide_line(
    waiting: Iterable[Waiting], policy: BatchingPolicy, now_s: float, service_s: float = 0.0
) -> Take | Wait:
    """Decides whether requests of one shape are due.

    Args:
        waiting: Those requests, the next to be executed first; with priorities that need not be the oldest. Only as
            many of them as fit into a batch are read.
        policy: As for `decide`, like what follows.
        now_s: The time.
        service_s: What an execution takes at least.
    """
    batch = _fill(waiting, policy)
    if not batch.count:
        return Wait(None)
    delay_s = policy.max_queue_delay_s
    remaining_s = delay_s - (now_s - batch.oldest_s)
    spare_s = batch.deadline_s - service_s - now_s
    if batch.preferred_count and (remaining_s > 0 or delay_s == 0):
        return Take(batch.preferred_count, CloseReason.PREFERRED)
    if batch.closed is not None:
        return Take(batch.count, batch.closed)
    if delay_s == 0:
        return Take(batch.count, CloseReason.IDLE)
    if remaining_s <= 0:
        return Take(batch.count, CloseReason.DELAY)
    if spare_s <= 0:
        return Take(batch.count, CloseReason.DEADLINE)
    return Wait(min(remaining_s, spare_s))


def decide_lone(rows: int, policy: BatchingPolicy) -> CloseReason | None:
    """Decides whether a request that has just come, and found nothing else that waits, is executed at once.

    Args:
        rows: Its rows; no more than fit into a batch.
        policy: As for `decide`.

    Returns:
        Why it is: what `decide_line` would say of it. None if it has to wait for others.
    """
    if policy.merge and rows in policy.preferred_rows:
        return CloseReason.PREFERRED
    if rows >= policy.max_rows:
        return CloseReason.FULL
    if not policy.merge:
        return CloseReason.ALONE
    return None if policy.max_queue_delay_s else CloseReason.IDLE


@dataclass(slots=True)
class _Filled:
    count: int = 0
    rows: int = 0
    preferred_count: int = 0
    """Requests in the largest preferred size that was reached; 0 if none was."""
    oldest_s: float = math.inf
    deadline_s: float = math.inf
    closed: CloseReason | None = None
    """Why no more can come in."""


def _fill(waiting: Iterable[Waiting], policy: BatchingPolicy) -> _Filled:
    batch = _Filled()
    for entry in waiting:
        if batch.rows and batch.rows + entry.rows > policy.max_rows:
            batch.closed = CloseReason.FULL
            break
        batch.count += 1
        batch.rows += entry.rows
        batch.oldest_s = min(batch.oldest_s, entry.enqueued_s)
        batch.deadline_s = min(batch.deadline_s, entry.deadline_s)
        if batch.rows in policy.preferred_rows and policy.merge:
            batch.preferred_count = batch.count
        if batch.rows >= policy.max_rows or not policy.merge:
            batch.closed = CloseReason.FULL if batch.rows >= policy.max_rows else CloseReason.ALONE
            break
    return batch
