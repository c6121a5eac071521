"""What waits for one model: by priority, bounded, and for no longer than its policy allows. Not thread-safe."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pasarela_server.errors import DeadlineExpired, QueueTimeout, ServingError
from pasarela_server.scheduling.batch import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """How the requests of one priority level wait; Triton's ModelQueuePolicy."""

    max_requests: int = 256
    """Requests that may wait; one more is refused."""
    timeout_s: float = math.inf
    """How long a request may wait."""
    delay_on_timeout: bool = False
    """What becomes of one that has waited longer: False refuses it, True puts it behind all others of its level."""

    def __post_init__(self) -> None:
        if self.max_requests < 1:
            raise ValueError(f"max_requests is {self.max_requests}; at least 1 request must be able to wait")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s is {self.timeout_s}; it is a time above 0 seconds")


@dataclass(slots=True)
class _Level:
    policy: QueuePolicy
    waiting: deque[Entry] = field(default_factory=deque)
    delayed: deque[Entry] = field(default_factory=deque)
    """Those that have waited too long and go on waiting."""

    def __len__(self) -> int:
        return len(self.waiting) + len(self.delayed)


@dataclass(frozen=True, slots=True)
class Dropped:
    """An entry that left the queue without being executed."""

    entry: Entry
    reason: ServingError
    """For whoever still waits for it; nobody does if it was cancelled."""


class RequestQueue:
    """Entries in the order in which they are to be executed: by level, those that were delayed behind the others."""

    def __init__(self, name: str, policies: Sequence[QueuePolicy], default_level: int = 1) -> None:
        """Starts empty.

        Args:
            name: The model's name, for messages.
            policies: One for each priority level, the most urgent first.
            default_level: Of requests that name none, or one that does not exist; the first is 1.
        """
        self._name = name
        self._levels = tuple(map(_Level, policies))
        self._default_level = default_level

    def __len__(self) -> int:
        return sum(map(len, self._levels))

    def __iter__(self) -> Iterator[Entry]:
        """All entries, the next to be executed first."""
        return itertools.chain.from_iterable(itertools.chain(level.waiting, level.delayed) for level in self._levels)

    def room(self, priority: int) -> int:
        """How many more requests of a priority may come."""
        level = self._level(priority)
        return level.policy.max_requests - len(level)

    def limit(self, priority: int) -> int:
        """How many requests of a priority may wait."""
        return self._level(priority).policy.max_requests

    def append(self, entry: Entry) -> None:
        """Puts an entry behind the others of its level."""
        self._level(entry.priority).waiting.append(entry)

    def pop(self, count: int) -> list[Entry]:
        """Takes the next entries out."""
        taken: list[Entry] = []
        for level in self._levels:
            for line in (level.waiting, level.delayed):
                while line and len(taken) < count:
                    taken.append(line.popleft())
        return taken

    def clear(self) -> list[Entry]:
        """Takes everything out."""
        return self.pop(len(self))

    def until_timeout_s(self, now_s: float) -> float:
        """How long until the next entry has waited as long as its policy allows; infinite if that never comes."""
        # Within a line the first has waited longest.
        ends = [level.waiting[0].waiting.enqueued_s + level.policy.timeout_s for level in self._levels if level.waiting]
        return max(0.0, min(ends, default=math.inf) - now_s)

    def sweep(self, now_s: float) -> list[Dropped]:
        """Takes out what is not to be executed any more, and delays what its policy delays."""
        dropped: list[Dropped] = []
        for level in self._levels:
            level.delayed = self._sift(level.delayed, math.inf, now_s, dropped, None)
            late: deque[Entry] | None = level.delayed if level.policy.delay_on_timeout else None
            level.waiting = self._sift(level.waiting, level.policy.timeout_s, now_s, dropped, late)
        return dropped

    def _sift(
        self,
        line: deque[Entry],
        timeout_s: float,
        now_s: float,
        dropped: list[Dropped],
        late: deque[Entry] | None,
    ) -> deque[Entry]:
        """The entries of a line that stay; the others are added to `dropped`, or to `late` if there is such a line."""
        if not any(self._is_over(entry, timeout_s, now_s) for entry in line):
            return line
        staying: deque[Entry] = deque()
        for entry in line:
            if entry.future.cancelled() or entry.expired(now_s):
                dropped.append(Dropped(entry, self._expired()))
            elif now_s - entry.waiting.enqueued_s < timeout_s:
                staying.append(entry)
            elif late is not None:
                late.append(entry)
            else:
                dropped.append(Dropped(entry, self._timed_out(timeout_s)))
        return staying

    def _is_over(self, entry: Entry, timeout_s: float, now_s: float) -> bool:
        return entry.future.cancelled() or entry.expired(now_s) or now_s - entry.waiting.enqueued_s >= timeout_s

    def _level(self, priority: int) -> _Level:
        known = 1 <= priority <= len(self._levels)
        return self._levels[(priority if known else self._default_level) - 1]

    def _expired(self) -> DeadlineExpired:
        return DeadlineExpired(f"the deadline passed while the request waited for model '{self._name}'")

    def _timed_out(self, timeout_s: float) -> QueueTimeout:
        return QueueTimeout(
            f"the request waited for model '{self._name}' longer than the {timeout_s:g} s that its queue policy allows"
        )
