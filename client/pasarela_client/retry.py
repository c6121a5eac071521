"""Whether a call that failed is tried again, and when. Pure, but for the budget, which counts."""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass

from pasarela_client.errors import (
    CertificateRefused,
    InvalidRequest,
    PasarelaError,
    QueueFull,
    ServerUnreachable,
)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, how soon. The time that a call is allowed holds for all of its tries together."""

    retries: int = 3
    """How often one call is tried again; 0 switches retries off, going over to another server among them."""
    first_s: float = 0.1
    """The wait before the first retry is drawn from 0 to this; before each further one from twice as much."""
    longest_s: float = 2.0
    """No wait is longer."""
    budget: float = 10.0
    """How many retries all calls of one client together have in reserve. Spent, nothing is tried again."""
    refill: float = 0.1
    """What each call that succeeds puts back: 0.1 is at most a tenth more load, however long the trouble lasts."""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise InvalidRequest(f"retries is a number from 0, not {self.retries}")
        if not 0 < self.first_s <= self.longest_s:
            raise InvalidRequest(
                f"waits before retries are 0 < first_s <= longest_s, not {self.first_s:g} and {self.longest_s:g}"
            )
        if self.budget < 0 or self.refill < 0:
            raise InvalidRequest(f"budget and refill are at least 0, not {self.budget:g} and {self.refill:g}")


class Trouble(enum.Enum):
    """What an error means for trying again."""

    UNREACHABLE = enum.auto()
    """No server has worked on the request: another one may."""
    BUSY = enum.auto()
    """The server has too much to do: later, and never at once."""
    FINAL = enum.auto()
    """It would fail again."""


def trouble_of(error: PasarelaError) -> Trouble:
    """Which trouble an error is."""
    if isinstance(error, CertificateRefused):
        return Trouble.FINAL
    if isinstance(error, ServerUnreachable):
        return Trouble.UNREACHABLE
    return Trouble.BUSY if isinstance(error, QueueFull) else Trouble.FINAL


@dataclass(frozen=True, slots=True)
class Failed:
    """A call after a try that failed."""

    trouble: Trouble
    tries: int
    """How often it was tried, at least once."""
    remaining_s: float | None
    """What is left of its time; None if that has no end."""
    untried: bool
    """Whether a server that counts as reachable was not tried since the last wait."""


def wait_s(retry: Retry, failed: Failed, chance: float) -> float | None:
    """Seconds until the next try: 0 goes over to another server at once, and costs the budget nothing.

    Args:
        retry: The settings.
        failed: What happened so far.
        chance: From 0 to 1, drawn for this wait.

    Returns:
        None if the call has failed for good.
    """
    if failed.trouble is Trouble.FINAL or failed.tries > retry.retries:
        return None
    if failed.trouble is Trouble.UNREACHABLE and failed.untried:
        seconds = 0.0
    else:
        longest_s = min(retry.longest_s, retry.first_s * 2.0 ** min(failed.tries - 1, 60))
        # A full queue is never asked again at once; who found nobody may be lucky.
        seconds = longest_s * (0.5 + chance / 2 if failed.trouble is Trouble.BUSY else chance)
    if failed.remaining_s is not None and seconds >= failed.remaining_s:
        return None
    return seconds


class RetryBudget:
    """What all calls of a client have left for retries. Threads may share it."""

    def __init__(self, retry: Retry) -> None:
        self._most = retry.budget
        self._refill = retry.refill
        self._left = retry.budget
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """How many retries are left."""
        return self._left

    def spend(self) -> bool:
        """Takes one retry; False if none is left."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def succeeded(self) -> None:
        """Puts back what a success is worth."""
        with self._lock:
            self._left = min(self._most, self._left + self._refill)
