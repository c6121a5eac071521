"""How fast to send to a server whose queue was full: half as many frames at a time at once, then slowly more."""

from __future__ import annotations

import math
from collections.abc import Callable

from pasarela_client.streaming.backoff import Backoff


class Pace:
    """Additive increase, multiplicative decrease: what keeps many clients from filling a queue again and again."""

    def __init__(self, window: int, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self._window = window
        self._clock = clock
        self._backoff = Backoff(0.05, 2.0, chance)
        self._limit = float(window)
        self._refusals = 0
        self._slowed_s = -math.inf
        self._resume_s = -math.inf

    @property
    def limit(self) -> int:
        """How many frames may be under way now, from 1 to the window."""
        return int(self._limit)

    @property
    def pause_s(self) -> float:
        """How long nothing may be sent from now on."""
        return max(0.0, self._resume_s - self._clock())

    def answered(self) -> None:
        """The server answered a frame: after a limit's worth of them the limit is one higher."""
        self._refusals = 0
        self._limit = min(float(self._window), self._limit + 1 / self._limit)

    def refused(self, sent_s: float) -> None:
        """The server's queue was full for a frame that was sent at that time.

        Frames that were under way when the pace was slowed down say nothing new, and slow it down no further.
        """
        if sent_s <= self._slowed_s:
            return
        self._limit = max(1.0, self._limit / 2)
        self._refusals += 1
        self._slowed_s = self._clock()
        self._resume_s = self._slowed_s + self._backoff.wait_s(self._refusals)
