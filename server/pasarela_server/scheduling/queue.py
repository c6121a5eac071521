"""What waits for one model: by priority and shape, bounded, no longer than its policy allows. Not thread-safe."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from pasarela_server.errors import DeadlineExpired, QueueTimeout, ServingError
from pasarela_server.scheduling.batch import Entry
from pasarela_server.scheduling.policy import Waiting

_NOTHING = object()


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


@dataclass(frozen=True, slots=True)
class Dropped:
    """An entry that left the queue without being executed."""

    entry: Entry
    reason: ServingError
    """For whoever still waits for it; nobody does if it was cancelled."""


@dataclass(frozen=True, slots=True)
class Before:
    """What is to be executed before a request that comes now."""

    requests: int
    rows: int
    batches: int
    """If requests of one shape are merged."""
    beside: int
    """Rows that wait for it to join their batch, if there are any."""


@dataclass(slots=True)
class _Line:
    """Entries by their tickets, in the order in which they came, all of them and those of each shape."""

    everyone: OrderedDict[int, Entry] = field(default_factory=OrderedDict)
    by_shape: dict[Hashable, OrderedDict[int, Entry]] = field(default_factory=dict)

    def append(self, ticket: int, entry: Entry) -> None:
        self.everyone[ticket] = entry
        self.by_shape.setdefault(entry.waiting.shape, OrderedDict())[ticket] = entry

    def remove(self, ticket: int) -> None:
        shape = self.everyone.pop(ticket).waiting.shape
        alike = self.by_shape[shape]
        del alike[ticket]
        if not alike:
            del self.by_shape[shape]


@dataclass(slots=True)
class _Level:
    policy: QueuePolicy
    rows: int = 0
    waiting: _Line = field(default_factory=_Line)
    delayed: _Line = field(default_factory=_Line)
    """Those that have waited too long and go on waiting."""

    def __len__(self) -> int:
        return len(self.waiting.everyone) + len(self.delayed.everyone)


class RequestQueue:
    """Entries in the order in which they are to be executed: by level, those that were delayed behind the others.

    Each entry has a ticket. Any of them may leave at any time; no operation looks at all that waits.
    """

    def __init__(
        self,
        name: str,
        policies: Sequence[QueuePolicy],
        default_level: int = 1,
        max_rows: int = 1,
        ripe_rows: int = 1,
    ) -> None:
        """Starts empty.

        Args:
            name: The model's name, for messages.
            policies: One for each priority level, the most urgent first.
            default_level: Of requests that name none, or one that does not exist; the first is 1.
            max_rows: Rows of a batch.
            ripe_rows: See `BatchingPolicy.ripe_rows`.
        """
        self._name = name
        self._levels = tuple(map(_Level, policies))
        self._lines = tuple(line for level in self._levels for line in (level.waiting, level.delayed))
        """All lines, the next to be served first."""
        self._default_level = default_level
        self._max_rows = max_rows
        self._ripe_rows = ripe_rows
        self._batches = 0
        self._tickets = itertools.count()
        self._places: dict[int, tuple[Entry, _Level, _Line]] = {}
        """What waits, by ticket, and where."""
        self._expires = any(math.isfinite(policy.timeout_s) for policy in policies)
        self._rows: dict[Hashable, int] = {}
        self._ripe: dict[Hashable, None] = {}
        # Tickets, not entries: what has left must not be kept alive by a deadline that is far away.
        self._deadlines: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._places)

    @property
    def timed(self) -> bool:
        """False if nothing that waits can be over: `sweep` would find nothing."""
        return bool(self._deadlines) or self._expires

    def __iter__(self) -> Iterator[Entry]:
        """All entries, the next to be executed first."""
        return itertools.chain.from_iterable(line.everyone.values() for line in self._lines)

    def room(self, priority: int) -> int:
        """How many more requests of a priority may come."""
        level = self._levels[self._level(priority)]
        return level.policy.max_requests - len(level)

    def limit(self, priority: int) -> int:
        """How many requests of a priority may wait."""
        return self._levels[self._level(priority)].policy.max_requests

    def before(self, priority: int, shape: Hashable) -> Before:
        """What is executed before a request of a priority and a shape that comes now, if nothing else comes."""
        levels = self._levels[: self._level(priority) + 1]
        rows, all_rows = sum(level.rows for level in levels), sum(level.rows for level in self._levels)
        share = rows / all_rows if all_rows else 0.0
        full, beside = divmod(self._rows.get(shape, 0), self._max_rows)
        others = (self._batches - full - (beside > 0)) * share
        if beside and not full:
            others *= self._share_before(shape)
        return Before(sum(map(len, levels)), rows, round(full * share + others), round(beside * share))

    def append(self, entry: Entry) -> int:
        """Puts an entry behind the others of its level; returns its ticket."""
        ticket = next(self._tickets)
        level = self._levels[self._level(entry.priority)]
        level.waiting.append(ticket, entry)
        self._places[ticket] = (entry, level, level.waiting)
        if entry.waiting.deadline_s < math.inf:
            heapq.heappush(self._deadlines, (entry.waiting.deadline_s, ticket))
        self._count(level, entry.waiting, 1)
        return ticket

    def discard(self, ticket: int) -> Entry | None:
        """Takes an entry out; None if it is not here any more."""
        place = self._places.pop(ticket, None)
        if place is None:
            return None
        entry, level, line = place
        line.remove(ticket)
        self._count(level, entry.waiting, -1)
        if len(self._deadlines) > 2 * len(self._places) + 64:
            self._forget_deadlines()
        return entry

    def lines(self) -> Iterator[tuple[Hashable, Iterator[Waiting]]]:
        """What waits, by shape, as `policy.decide` wants it: the line of the next request first.

        The queue must not change meanwhile.
        """
        heads = (next(iter(line.everyone.values())).waiting.shape for line in self._lines if line.everyone)
        head = next(heads, _NOTHING)
        if head is _NOTHING:
            return
        yield head, self._alike(head)
        others = {*heads, *self._ripe}
        tightest = self._tightest()
        if tightest is not None:
            others.add(tightest.waiting.shape)
        for shape in sorted(others - {head}, key=self._rank):
            yield shape, self._alike(shape)

    def pop(self, count: int, shape: Hashable) -> list[Entry]:
        """Takes the next entries of a shape out."""
        alike = itertools.chain.from_iterable(line.by_shape.get(shape, ()) for line in self._lines)
        tickets = list(itertools.islice(alike, count))
        return [entry for entry in map(self.discard, tickets) if entry is not None]

    def clear(self) -> list[Entry]:
        """Takes everything out."""
        taken = list(self)
        for ticket in list(self._places):
            self.discard(ticket)
        return taken

    def until_timeout_s(self, now_s: float) -> float:
        """How long until the next entry has waited as long as its policy allows; infinite if that never comes."""
        if not self._expires:
            return math.inf
        # Within a line the first has waited longest.
        ends = [
            next(iter(level.waiting.everyone.values())).waiting.enqueued_s + level.policy.timeout_s
            for level in self._levels
            if level.waiting.everyone
        ]
        return max(0.0, min(ends, default=math.inf) - now_s)

    def sweep(self, now_s: float, service_s: float = 0.0) -> list[Dropped]:
        """Takes out what is not to be executed any more, and delays what its policy delays.

        Args:
            now_s: The time.
            service_s: What an execution takes at least: who has less time left cannot make it.
        """
        dropped: list[Dropped] = []
        while (entry := self._tightest()) is not None:
            left_s = entry.waiting.deadline_s - now_s
            if left_s > 0 and left_s >= service_s:
                break
            self.discard(self._deadlines[0][1])
            dropped.append(Dropped(entry, self._expired(left_s)))
        for level in self._levels:
            while level.waiting.everyone:
                ticket, entry = next(iter(level.waiting.everyone.items()))
                if now_s - entry.waiting.enqueued_s < level.policy.timeout_s:
                    break
                if level.policy.delay_on_timeout:
                    level.waiting.remove(ticket)
                    level.delayed.append(ticket, entry)
                    self._places[ticket] = (entry, level, level.delayed)
                else:
                    self.discard(ticket)
                    dropped.append(Dropped(entry, self._timed_out(level.policy.timeout_s)))
        return dropped

    def _alike(self, shape: Hashable) -> Iterator[Waiting]:
        for line in self._lines:
            if shape in line.by_shape:
                for entry in line.by_shape[shape].values():
                    yield entry.waiting

    def _rank(self, shape: Hashable) -> tuple[int, int]:
        return next(
            (at, next(iter(line.by_shape[shape]))) for at, line in enumerate(self._lines) if shape in line.by_shape
        )

    def _share_before(self, shape: Hashable) -> float:
        """Which share of what waits came before the first of a shape, from 0 to 1."""
        first = next(iter(self._places))
        return (self._first(shape) - first) / max(1, next(reversed(self._places)) - first)

    def _first(self, shape: Hashable) -> int:
        return self._rank(shape)[1]

    def _tightest(self) -> Entry | None:
        """The entry with the earliest deadline; it is the first of `_deadlines` then."""
        while self._deadlines:
            ticket = self._deadlines[0][1]
            place = self._places.get(ticket)
            if place is not None:
                return place[0]
            heapq.heappop(self._deadlines)
        return None

    def _forget_deadlines(self) -> None:
        """Drops the deadlines of those that have left: they have become the greater part."""
        self._deadlines = [deadline for deadline in self._deadlines if deadline[1] in self._places]
        heapq.heapify(self._deadlines)

    def _count(self, level: _Level, waiting: Waiting, sign: int) -> None:
        shape, size = waiting.shape, self._max_rows
        level.rows += sign * waiting.rows
        before = self._rows.get(shape, 0)
        rows = before + sign * waiting.rows
        self._batches += (rows + size - 1) // size - (before + size - 1) // size
        if rows:
            self._rows[shape] = rows
        else:
            del self._rows[shape]
        if rows >= self._ripe_rows:
            self._ripe[shape] = None
        elif before >= self._ripe_rows:
            del self._ripe[shape]

    def _level(self, priority: int) -> int:
        known = 1 <= priority <= len(self._levels)
        return (priority if known else self._default_level) - 1

    def _expired(self, left_s: float) -> DeadlineExpired:
        if left_s <= 0:
            return DeadlineExpired(f"the deadline passed while the request waited for model '{self._name}'")
        return DeadlineExpired(
            f"the request waited for model '{self._name}' until {left_s * 1e3:.1f} ms were left to its deadline, "
            "less than the model takes"
        )

    def _timed_out(self, timeout_s: float) -> QueueTimeout:
        return QueueTimeout(
            f"the request waited for model '{self._name}' longer than the {timeout_s:g} s that its queue policy allows"
        )
