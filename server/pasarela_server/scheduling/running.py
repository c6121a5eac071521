"""One execution on an instance's thread, which the watchdog may give up."""

from __future__ import annotations

import math
import threading
from contextlib import ExitStack

from pasarela_server.scheduling.batch import Batch


class Running:
    """Belongs to the thread that executes and to the watchdog: who claims it first answers its requests."""

    __slots__ = ("_claimed", "_kept", "answered", "batch", "began_s", "held")

    def __init__(self, batch: Batch, held: ExitStack) -> None:
        """Begins.

        Args:
            batch: What is executed.
            held: The cores that it keeps busy.
        """
        self.batch = batch
        self.began_s = math.inf
        """When the inference began, on the scheduler's clock."""
        self.held = held
        self.answered = False
        """Whether the thread that executes has claimed the requests."""
        self._claimed = threading.Lock()
        self._kept = threading.Lock()
        """Held until the watchdog has taken what is held."""
        self._kept.acquire()

    def claim(self) -> bool:
        """For the thread that executes: whether it is the one to answer the requests."""
        if self._claimed.acquire(blocking=False):
            self.answered = True
            return True
        return False

    def give_up(self) -> bool:
        """For the watchdog: takes the requests, and gives back what is held; False if they are being answered."""
        if not self._claimed.acquire(blocking=False):
            return False
        self.held.pop_all().close()
        self._kept.release()
        return True

    def wait_given_back(self) -> None:
        """For the thread that executes, once it could not claim: what it held is not its own any more."""
        self._kept.acquire()
