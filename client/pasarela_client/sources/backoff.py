"""How long to wait before a live source is tried again. Pure."""

from __future__ import annotations

from typing import Final

_FIRST_S: Final = 0.5
_LONGEST_S: Final = 10.0


def wait_before(attempt: int, *, gone_s: float, give_up_s: float | None) -> float | None:
    """Seconds until the next attempt.

    Args:
        attempt: Number of attempts since the source was lost that failed.
        gone_s: For how long it has been gone.
        give_up_s: After so long it is given up; None is never.

    Returns:
        Twice as long after each attempt, up to ten seconds; None if it is given up.
    """
    if give_up_s is not None and gone_s >= give_up_s:
        return None
    wait_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempt, 10))
    return wait_s if give_up_s is None else min(wait_s, give_up_s - gone_s)
