"""Whether, and when, to try again after a connection broke."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from pasarela_client.errors import CertificateRefused, DeadlineExpired, PasarelaError, QueueFull, ServerUnreachable
from pasarela_client.streaming.backoff import Backoff


class Outage:
    """From a break until the next answer. A server that never answered is not tried again."""

    def __init__(self, reconnect_s: float, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self.reached = False
        """Whether the server answered at all."""
        self._reconnect_s = reconnect_s
        self._clock = clock
        self._backoff = Backoff(0.1, 2.0, chance)
        self._failures = 0
        self._since_s: float | None = None

    def answered(self) -> None:
        """An answer came: whatever was, is over."""
        self.reached = True
        self._failures = 0
        self._since_s = None

    def next_try_s(self) -> float | None:
        """The call broke, or could not be begun: how long to wait before the next try; None gives up."""
        now_s = self._clock()
        if self._since_s is None:
            self._since_s = now_s
        left_s = self._since_s + self._reconnect_s - now_s
        if not self.reached or left_s <= 0:
            return None
        self._failures += 1
        return min(self._backoff.wait_s(self._failures), left_s)


def passes(error: PasarelaError) -> bool:
    """Whether what ended a call may be gone when it is tried again: the server stopped, hung or was overrun."""
    if isinstance(error, CertificateRefused):
        return False
    kinds = ServerUnreachable | QueueFull | DeadlineExpired
    return isinstance(error, kinds) or error.status is grpc.StatusCode.UNAVAILABLE
