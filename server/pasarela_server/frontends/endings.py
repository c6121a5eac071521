"""How a start of a front came out, in words, and whether the server gives up for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MOST_KILLED_STARTS = 3
"""How often a front is started that is killed before it has ever listened: then the server does not start."""


class Hand(Enum):
    """Who has ended a front's process."""

    NOT_OURS = "itself, the system or a person"
    OVERDUE = "the back, because it did not listen in time"
    UNLINKED = "the back, because it went on without a link"


@dataclass(frozen=True, slots=True)
class Ending:
    """One start of a front, from its end."""

    front: str
    """Which one, for people."""
    code: int | None = None
    """As `subprocess` gives it; None if there was no process."""
    hand: Hand = Hand.NOT_OURS
    reason: str = ""
    """Why it could not listen, as the front or the system says; empty if neither does."""


def describe(ending: Ending, limit_s: float) -> str:
    """What has happened, for the log.

    Args:
        ending: The start.
        limit_s: How long a front may take until it listens.
    """
    if ending.hand is Hand.OVERDUE:
        return f"{ending.front} did not listen within {limit_s:g} s and was ended"
    if ending.code is None:
        return f"{ending.front} cannot be started ({ending.reason})"
    if ending.hand is Hand.UNLINKED:
        return f"{ending.front} had no link to the server any more, went on, and was ended"
    return f"{ending.front} ended with code {ending.code}"


def refusal(ending: Ending, starts: int, limit_s: float) -> str:
    """Why the server does not start; empty if the front that never listened is worth another try.

    One that was killed is: others may answer clients by then, and they would lose the whole server.

    Args:
        ending: The latest start of a front that has never listened.
        starts: How many there were, this one included.
        limit_s: How long it may take until it listens.
    """
    happened = describe(ending, limit_s)
    if ending.hand is Hand.OVERDUE:
        return f"{happened}; the machine may be too busy: try fewer --frontends, or 0"
    if ending.code is None:
        return happened
    if ending.reason:
        return ending.reason
    if ending.hand is Hand.NOT_OURS and ending.code < 0 and starts < MOST_KILLED_STARTS:
        return ""
    return f"{happened} before it listened; see the log"
