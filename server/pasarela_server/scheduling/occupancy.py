"""How busy a model's instances are, and so what a request can expect that comes now. Not thread-safe."""

from __future__ import annotations

from dataclasses import dataclass

from pasarela_server.scheduling.estimate import BatchTimes, Span
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.queue import Before

RESERVE = 1.2
"""What is admitted behind others and then late has cost more than what it was worth."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a request can expect."""

    wait_s: float
    """Until an instance begins with it."""
    service: Span
    """What its execution takes then."""

    def fits(self, left_s: float) -> bool:
        """Whether it can be answered in the time that is left.

        A request that need not wait is tried if it can succeed at all. One that has to wait takes the place of another,
        so it must be likely to succeed: under overload each request is admitted just so that it still fits, and what
        half of them then missed by a little would be lost for all.
        """
        if left_s <= 0:
            return False
        return self.total_s <= left_s

    @property
    def total_s(self) -> float:
        """Until it is answered: at least, if it need not wait, and else probably, with something in reserve."""
        return (self.wait_s + self.service.likely_s) * RESERVE if self.wait_s > 0 else self.service.least_s

    def explain(self, left_s: float) -> str:
        """For people: why a request does not fit."""
        if left_s <= 0:
            return "the deadline has passed"
        return (
            f"{left_s * 1e3:.1f} ms are left to the deadline, and an answer would take {self.total_s * 1e3:.1f} ms, "
            f"{self.wait_s * 1e3:.1f} ms of it behind others; allow more time, or send fewer requests at a time"
        )


class Occupancy:
    """Which instances are busy since when, and how long batches keep them so."""

    def __init__(self, policy: BatchingPolicy, instances: int) -> None:
        self._policy = policy
        self._instances = instances
        self._times = BatchTimes()
        self._busy: dict[int, tuple[int, float]] = {}
        """Rows of the batch and its beginning, by instance."""
        self._last_rows = 1

    def began(self, instance: int, rows: int, now_s: float) -> None:
        """An instance begins with a batch."""
        self._busy[instance] = (rows, now_s)
        self._last_rows = rows

    def ended(self, instance: int, now_s: float) -> None:
        """An instance is free; that it was before is no mistake."""
        execution = self._busy.pop(instance, None)
        if execution is not None:
            rows, began_s = execution
            self._times.add(rows, now_s - began_s, now_s)

    @property
    def busy(self) -> bool:
        """Whether any instance is."""
        return bool(self._busy)

    def batch(self, rows: int, now_s: float) -> Span:
        """How long a batch keeps an instance busy."""
        return self._times.span(rows, now_s)

    def outlook(self, rows: int, before: Before, ahead: int, now_s: float) -> Outlook:
        """What a request can expect.

        Args:
            rows: Its rows.
            before: What waits and is executed before it.
            ahead: Requests of one row that come before it, too, and do not wait yet.
            now_s: The time.
        """
        policy = self._policy
        if policy.merge:
            more, together = divmod(before.beside + ahead, policy.max_rows)
            batches, rows_of_each, together = before.batches + more, policy.max_rows, together + rows
        else:
            batches, together = before.requests + ahead, rows
            rows_of_each = max(1, (before.rows + ahead) // max(1, batches))
        rounds, position = divmod(batches, self._instances)
        begin_s = self._free_s(now_s)[position]
        if rounds:
            begin_s += rounds * self.batch(rows_of_each, now_s).likely_s
        if policy.merge and begin_s > now_s:
            # Others will come meanwhile to share its batch: as many as in the last one, as long as the load stays.
            together = max(together, self._last_rows)
        return Outlook(begin_s - now_s, self.batch(min(policy.max_rows, together), now_s))

    def _free_s(self, now_s: float) -> list[float]:
        """When the instances will probably be free, the next first."""
        busy = [max(now_s, began_s + self.batch(rows, now_s).likely_s) for rows, began_s in self._busy.values()]
        return sorted([*busy, *[now_s] * (self._instances - len(busy))])
