"""Many images, as fast as the servers take them: how many at a time, which result is due. No call is made here."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar

from pasarela_client.errors import InvalidRequest
from pasarela_client.retry import Failed, Retry, Trouble, wait_s

R = TypeVar("R")

FIRST: Final = 16
"""Images under way at the beginning, for each server."""
MOST: Final = 64
"""Images under way at most, for each server."""
PATIENCE: Final = Retry(retries=10**6, first_s=0.1, longest_s=2.0)
"""An image that the servers know how to answer waits until its time is over."""


class Pace:
    """How many images may be under way: one more after each round, half as many when one was turned away.

    Threads may share it.
    """

    def __init__(self, first: int, most: int) -> None:
        """Begins with `first`, and never goes beyond `most`."""
        self._limit = float(first)
        self._most = most
        self._round = 0
        self._lock = threading.Lock()

    @classmethod
    def of(cls, concurrency: int | None, *, servers: int) -> Self:
        """The pace that somebody wants, who may leave it to us.

        Raises:
            InvalidRequest: It is below 1.
        """
        if concurrency is None:
            return cls(FIRST * servers, MOST * servers)
        if concurrency < 1:
            raise InvalidRequest(f"concurrency is a number of images from 1, not {concurrency}")
        return cls(concurrency, concurrency)

    @property
    def limit(self) -> int:
        """How many, now."""
        return int(self._limit)

    @property
    def round(self) -> int:
        """Which round a call that begins now belongs to."""
        return self._round

    def answered(self) -> None:
        """A call was answered."""
        with self._lock:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)

    def refused(self, in_round: int) -> None:
        """A call was turned away. Those that began before the last cut say nothing new."""
        with self._lock:
            if in_round == self._round:
                self._round += 1
                self._limit = max(1.0, self._limit / 2)


class BulkWindow(Generic[R]):
    """Images on their way: pulled, under way, answered, handed out. Threads may share it.

    No more are pulled and not handed out than twice as many as may be under way: so much is kept when one image takes
    long and the others are to wait for it, or when nobody takes the results.
    """

    def __init__(self, pace: Pace, *, ordered: bool) -> None:
        self._pace = pace
        self._ordered = ordered
        self._lock = threading.RLock()  # garbage collection may close on a thread that holds it
        self._ready: dict[int, R] = {}
        """By position, the oldest first."""
        self._pulled = 0
        self._under_way = 0
        self._handed_out = 0
        self._pullers = 0
        self._answered = False
        self._exhausted = False
        self._closed = False
        self._error: BaseException | None = None

    @property
    def answered(self) -> bool:
        """Whether any image was answered: the servers can be reached, and know the model."""
        return self._answered

    @property
    def closed(self) -> bool:
        """Whether nothing is to begin any more."""
        return self._closed

    @property
    def ended(self) -> bool:
        """Whether no further image is to be pulled."""
        return self._exhausted

    @property
    def over(self) -> bool:
        """Whether nothing more will be handed out."""
        with self._lock:
            return self._closed or (self._exhausted and self._handed_out == self._pulled)

    @property
    def error(self) -> BaseException | None:
        """What ended it, to be raised when the results before are handed out."""
        return self._error

    def may_pull(self) -> bool:
        """Whether there is room for one image more."""
        with self._lock:
            return not self._exhausted and self._pulled - self._handed_out < 2 * self._pace.limit

    def pull(self) -> int:
        """Takes note of an image that was pulled; its position."""
        with self._lock:
            self._pulled += 1
            return self._pulled - 1

    def exhaust(self, error: BaseException | None = None) -> None:
        """No image follows: there is none, or the source raised."""
        with self._lock:
            self._exhausted = True
            self._error = self._error or error

    def close(self, error: BaseException | None = None) -> None:
        """Nothing begins any more, and no result is handed out."""
        with self._lock:
            self._closed = self._exhausted = True
            self._error = error or self._error
            self._ready.clear()

    def hire(self) -> bool:
        """Whether one more shall pull images, so that as many are under way as may be."""
        with self._lock:
            wanted = not self._exhausted and self._pullers < self._pace.limit
            self._pullers += wanted
            return wanted

    def begin(self) -> bool:
        """Whether a call may begin now; then it counts as under way."""
        with self._lock:
            may = self._under_way < self._pace.limit
            self._under_way += may
            return may

    def end(self) -> None:
        """A call is over, whatever came of it."""
        with self._lock:
            self._under_way -= 1

    def finish(self, index: int, result: R, *, answered: bool) -> None:
        """Puts down the result of an image.

        Args:
            index: Its position.
            result: What to hand out.
            answered: Whether a server gave it.
        """
        with self._lock:
            self._answered = self._answered or answered
            if not self._closed:
                self._ready[index] = result

    def take(self) -> R | None:
        """The result that is due; None if it is not there yet."""
        with self._lock:
            due = self._handed_out if self._ordered else next(iter(self._ready), -1)
            result = self._ready.pop(due, None)
            if result is not None:
                self._handed_out += 1
            return result


@dataclass(frozen=True, slots=True)
class Attempt:
    """An image after a try that failed."""

    trouble: Trouble
    tries: int
    remaining_s: float | None
    untried: bool
    """Whether there is a server that counts as reachable."""
    answered: bool
    """Whether any image was answered so far."""


def pause_s(attempt: Attempt, retry: Retry, chance: float) -> float | None:
    """Seconds until an image is sent again; None if it has failed.

    Once any image was answered, a full queue and servers that are gone are waited for as long as the image's time
    lasts. Before, who cannot be reached is given no more tries than a single call would get.
    """
    patient = attempt.answered or attempt.trouble is Trouble.BUSY
    failed = Failed(attempt.trouble, attempt.tries, attempt.remaining_s, attempt.untried)
    return wait_s(PATIENCE if patient else retry, failed, chance)
