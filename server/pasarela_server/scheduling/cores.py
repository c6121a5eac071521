"""The cores that all models share: executions wait here, so that no more threads compute than there are cores.

Each model plans as if it were alone. This is what keeps several of them from getting into each other's way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(slots=True, eq=False)
class Waiter:
    """One execution that waits for cores."""

    cores: int
    passed_by: int = 0
    """How many that came later were let in before it."""
    let_in: threading.Event = field(default_factory=threading.Event)


def admit(waiting: Sequence[Waiter], free: int, patience: int) -> list[Waiter]:
    """Who of those that wait may go now, in the order of their coming. Pure.

    Who needs more cores than are free is passed by those behind that need fewer, so that no core idles; but only by
    `patience` of them, so that its turn comes.
    """
    admitted: list[Waiter] = []
    room = len(waiting)  # how many more may pass those that were skipped
    for waiter in waiting:
        if room <= 0 or free <= 0:
            break
        if waiter.cores > free:
            room = min(room, patience - waiter.passed_by)
            continue
        free -= waiter.cores
        admitted.append(waiter)
        room -= 1
    return admitted


class CoreBudget:
    """Hands out cores, first come, first served. Any thread may use it; its lock is never held during an execution."""

    def __init__(self, cores: int) -> None:
        """Builds the budget.

        Args:
            cores: Threads that may compute at the same time, over all models.
        """
        self._cores = cores
        self._free = cores
        self._lock = threading.Lock()
        self._waiting: deque[Waiter] = deque()

    def share(self, threads: int) -> AbstractContextManager[object]:
        """What an execution of `threads` threads enters; as many threads at once as there are executions may do so."""
        return _Share(self, self.at_most(threads))

    def at_most(self, threads: int) -> int:
        """Cores that an execution of so many threads takes."""
        return min(threads, self._cores)

    def try_acquire(self, cores: int) -> bool:
        """Takes cores if they are free and nobody waits for any."""
        with self._lock:
            if self._waiting or cores > self._free:
                return False
            self._free -= cores
            return True

    def acquire(self, cores: int) -> None:
        """Takes cores; waits for them."""
        with self._lock:
            if not self._waiting and cores <= self._free:
                self._free -= cores
                return
            waiter = Waiter(cores)
            self._waiting.append(waiter)
            self._let_in()
        waiter.let_in.wait()

    def release(self, cores: int) -> None:
        """Gives cores back."""
        with self._lock:
            self._free += cores
            self._let_in()

    def _let_in(self) -> None:
        """Under the lock."""
        admitted = admit(self._waiting, self._free, self._cores)
        for waiter in admitted:
            for before in self._waiting:
                if before is waiter:
                    break
                before.passed_by += 1
            self._waiting.remove(waiter)
            self._free -= waiter.cores
            waiter.let_in.set()


@dataclass(frozen=True, slots=True)
class _Share:
    budget: CoreBudget
    cores: int

    def __enter__(self) -> None:
        self.budget.acquire(self.cores)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.budget.release(self.cores)


UNBOUNDED: AbstractContextManager[object] = nullcontext()
"""For executions that keep no core busy (on a GPU), or that nobody counts."""
