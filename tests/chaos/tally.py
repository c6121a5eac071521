"""What became of requests: every one that was sent is answered, refused or failed, or else it is lost."""

from __future__ import annotations

import enum
import threading
import time
from collections import Counter
from dataclasses import dataclass

import grpc

_NOT_SENT = "failed to connect"
_SAFE_TO_REPEAT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Came(enum.Enum):
    """What came of one request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Nothing was done, and the client knows it: the server said so, or there was nobody to send it to."""
    FAILED = "failed"
    """It ended with an error; whether something was done for it, nobody knows."""
    LOST = "lost"
    """Nobody told the client anything in all the time that it waited."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests by what came of them."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    wrong: int = 0
    """Answered, but not as it is right."""

    @property
    def lost(self) -> int:
        """Sent, and nothing came of it."""
        return self.sent - self.answered - self.refused - self.failed


class Tally:
    """Counts what clients on many threads sent and got."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sent = self._wrong = 0
        self._came: Counter[Came] = Counter()
        self._row = 0
        self._unanswered_s = float("-inf")
        self._words: Counter[str] = Counter()

    def send(self) -> None:
        """A request goes out."""
        with self._changed:
            self._sent += 1

    def end(self, came: Came, words: str = "", *, wrong: bool = False) -> None:
        """A request is over.

        Args:
            came: What came of it.
            words: What its client was told, if it was not answered, or what is wrong with the answer.
            wrong: Whether it was answered wrongly.
        """
        with self._changed:
            self._came[came] += 1
            self._wrong += wrong
            if words:
                self._words[words] += 1
            if came is Came.ANSWERED:
                self._row += 1
                self._changed.notify_all()
            else:
                self._row = 0
                self._unanswered_s = time.monotonic()

    def wait_answers(self, count: int, patience_s: float = 60.0) -> bool:
        """Waits until so many answers have come with nothing else between them, from now on; whether they did."""
        with self._changed:
            self._row = 0
            return self._changed.wait_for(lambda: self._row >= count, patience_s)

    def recovery_s(self, since_s: float) -> float:
        """From a moment until the last request that was not answered; 0 if all were."""
        with self._changed:
            return max(0.0, self._unanswered_s - since_s)

    def counts(self) -> Counts:
        """What came of all so far; exact when no client runs any more."""
        with self._changed:
            came = self._came
            return Counts(self._sent, came[Came.ANSWERED], came[Came.REFUSED], came[Came.FAILED], self._wrong)

    def words(self) -> dict[str, int]:
        """What clients were told, and how often."""
        with self._changed:
            return dict(self._words)


def came_of(error: grpc.RpcError) -> Came:
    """What came of a call that ended with an error.

    A server that refuses says which of its errors it is in the call's metadata; a connection that broke says nothing.
    """
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Came.LOST
    told = [value for key, value in error.trailing_metadata() or () if key == "pasarela-error"]
    if told == ["NoVersionReady"]:
        return Came.REFUSED
    if code in _SAFE_TO_REPEAT and (told or _NOT_SENT in (error.details() or "")):
        return Came.REFUSED
    return Came.FAILED
