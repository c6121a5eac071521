"""Calls that end together."""

from __future__ import annotations

import threading
from typing import Protocol


class Cancellable(Protocol):
    """A call that is under way."""

    def cancel(self) -> object:
        """Gives it up; harmless when it is over."""
        ...


class Scope:
    """The calls that somebody has under way, to be given up all at once. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # garbage collection may give up on a thread that holds it
        self._calls: set[Cancellable] = set()
        self._over = False

    @property
    def over(self) -> bool:
        """Whether the calls were given up."""
        return self._over

    def hold(self, call: Cancellable) -> None:
        """Takes a call that has begun; too late, and it is cancelled at once."""
        with self._lock:
            if not self._over:
                self._calls.add(call)
                return
        call.cancel()

    def release(self, call: Cancellable) -> None:
        """Forgets a call that is over."""
        with self._lock:
            self._calls.discard(call)

    def give_up(self) -> None:
        """Cancels all calls, and each that begins from now on."""
        with self._lock:
            self._over = True
            calls, self._calls = self._calls, set()
        for call in calls:
            call.cancel()
