"""What the server owes: an answer to each frame that was sent on the call that is open."""

from __future__ import annotations

from collections.abc import Callable


class Debt:
    """The frames without an answer. Those whose results were handed out meanwhile are owed one still, and are late."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._owed: set[int] = set()
        self._late: set[int] = set()
        self._silent_since_s = 0.0

    def __len__(self) -> int:
        return len(self._owed)

    def __contains__(self, index: int) -> bool:
        return index in self._owed

    @property
    def late(self) -> int:
        """How many answers nobody waits for any more."""
        return len(self._late)

    @property
    def silence_s(self) -> float:
        """How long the server has owed an answer without giving any; 0 while it owes none."""
        return self._clock() - self._silent_since_s if self._owed else 0.0

    def add(self, index: int) -> None:
        """A frame was sent."""
        if not self._owed:
            self._silent_since_s = self._clock()
        self._owed.add(index)

    def call_late(self, index: int) -> None:
        """Nobody waits for the answer any more."""
        self._late.add(index)

    def is_awaited(self, index: int) -> bool:
        """Whether the frame's answer is owed, and somebody waits for it."""
        return index in self._owed and index not in self._late

    def pay(self, index: int) -> None:
        """The server answered a frame."""
        self._silent_since_s = self._clock()
        self.forget(index)

    def forget(self, index: int) -> None:
        """The frame was not sent after all."""
        self._owed.discard(index)
        self._late.discard(index)

    def cancel(self) -> list[int]:
        """The call is over: nothing is owed any more. The frames that were waited for, in their order."""
        awaited = sorted(self._owed - self._late)
        self._owed.clear()
        self._late.clear()
        return awaited
