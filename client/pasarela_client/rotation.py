"""Which of several servers is asked next: one after the other, without those that failed a moment ago."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

FIRST_S: Final = 0.5
"""How long a server is left out after its first failure, about; twice as long after each further one."""
LONGEST_S: Final = 15.0
SILENT_CALLS: Final = 3
"""So many calls in a row without an answer in their time count as a failure."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    """In a row, each after the server was given another chance."""
    out_until_s: float = 0.0
    probed: bool = False
    """Whether the time that it was left out for is over, and one call finds out."""
    silent: int = 0


class Rotation:
    """Round robin over servers that are numbered from 0. Threads may share it."""

    def __init__(self, count: int, *, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        """All are taken for good.

        Args:
            count: How many there are.
            clock: Seconds that never go back.
            chance: A number from 0 to 1, drawn anew: clients do not come back all at once.
        """
        self._records = [_Record() for _ in range(count)]
        self._clock = clock
        self._chance = chance
        self._next = 0
        self._lock = threading.Lock()

    def pick(self, tried: Container[int] = ()) -> int:
        """Whom to ask now: one that was not tried if there is any, that is not left out if there is any.

        Of several that are left out, the one whose time is over soonest. A server whose time is over gets one call:
        the others follow when it has answered.
        """
        with self._lock:
            now_s = self._clock()
            turn = [(self._next + step) % len(self._records) for step in range(len(self._records))]
            chosen = min(turn, key=lambda index: (index in tried, max(now_s, self._records[index].out_until_s)))
            self._next = (chosen + 1) % len(self._records)
            record = self._records[chosen]
            if record.failures and record.out_until_s <= now_s:
                record.probed, record.out_until_s = True, now_s + FIRST_S
            return chosen

    def untried(self, tried: Container[int]) -> bool:
        """Whether there is a server that is neither tried nor left out."""
        with self._lock:
            now_s = self._clock()
            return any(index not in tried and record.out_until_s <= now_s for index, record in enumerate(self._records))

    def answered(self, index: int) -> None:
        """The server answered, whatever it said: it is back."""
        record = self._records[index]
        if record.failures or record.silent:
            with self._lock:
                record.failures, record.silent, record.probed, record.out_until_s = 0, 0, False, 0.0

    def failed(self, index: int) -> None:
        """The server cannot be reached. Calls that began before it was left out tell nothing new."""
        with self._lock:
            self._leave_out(self._records[index])

    def silent(self, index: int) -> None:
        """The server did not answer a call in its time."""
        with self._lock:
            record = self._records[index]
            record.silent += 1
            if record.silent >= SILENT_CALLS:
                record.silent = 0
                self._leave_out(record)

    def _leave_out(self, record: _Record) -> None:
        now_s = self._clock()
        if record.out_until_s > now_s and not record.probed:
            return
        record.probed = False
        longest_s = min(LONGEST_S, FIRST_S * 2.0 ** min(record.failures, 30))
        record.failures += 1
        record.out_until_s = now_s + longest_s * (0.5 + self._chance() / 2)
