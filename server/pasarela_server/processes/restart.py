"""How long to wait before a process that has died is started again. Pure."""

from __future__ import annotations

_FIRST_S = 0.1
_LONGEST_S = 10.0
_WELL_S = 60.0
"""A process that lived longer died of something new."""


class RestartDelay:
    """Doubles with each early death."""

    def __init__(self) -> None:
        self._next_s = _FIRST_S

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a process has lived that long."""
        if lived_s > _WELL_S:
            self._next_s = _FIRST_S
        now_s = self._next_s
        self._next_s = min(2 * now_s, _LONGEST_S)
        return now_s
