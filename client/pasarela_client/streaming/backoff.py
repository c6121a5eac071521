"""How long to wait before the next try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from try to try, up to a limit, each shortened by chance so that clients spread out."""

    first_s: float
    longest_s: float
    chance: Callable[[], float]
    """From 0 to 1, drawn anew."""

    def wait_s(self, failures: int) -> float:
        """Between half of the full wait and all of it, after so many failures in a row, at least 1."""
        full_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return full_s * (0.5 + self.chance() / 2)
