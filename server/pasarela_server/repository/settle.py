"""Has somebody finished writing? What has not changed for a while has settled. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a version, and since when it has looked like that."""

    look: Hashable
    """Equal for equal looks; None if it was not there."""
    since_s: float


def see(before: Sight | None, look: Hashable, now_s: float, age_s: float = 0.0) -> Sight:
    """Takes a look.

    Args:
        before: The last sight; None if this is the first.
        look: What is seen now.
        now_s: A monotonic clock.
        age_s: For a first look: how long ago the last file was written, by the file system's clock. What was there
            long before need not wait again.
    """
    if before is None:
        return Sight(look, now_s - max(0.0, age_s))
    return before if before.look == look else Sight(look, now_s)


def remaining_s(sight: Sight, now_s: float, settle_s: float) -> float:
    """How long until it has settled, if nothing changes; 0 if it has."""
    return max(0.0, sight.since_s + settle_s - now_s)
