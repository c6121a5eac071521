"""Whether a recording gave what its beginning promised. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_FRAMES_OF_GRACE: Final = 2
_SECONDS_OF_GRACE: Final = 0.2
"""Headers round, and count tracks that end a little later than the pictures."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What the head of a recording says about the rest of it; 0 where it does not say."""

    duration_s: float = 0.0
    frame_s: float = 0.0
    """Time between two frames."""
    frame_count: int = 0
    """Only of containers whose count holds for what is shown."""
    file_bytes: int = 0
    """Where the last frame ends that the index lists."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What could be read of it."""

    end_s: float
    """When the last frame, or the last sound if that is later, is over; seconds from the beginning."""
    frame_count: int
    file_bytes: int
    last_incomplete: bool
    """Whether the file ends within a frame."""


def what_is_missing(promise: Promise, delivery: Delivery) -> str | None:
    """How a person is told that a recording was cut short; None if it was not, as far as one can know."""
    grace_s = max(_FRAMES_OF_GRACE * promise.frame_s, _SECONDS_OF_GRACE)
    counted_s = promise.frame_count * promise.frame_s
    expected_s = max(promise.duration_s, counted_s)
    short = (
        delivery.last_incomplete
        or promise.file_bytes > delivery.file_bytes > 0
        or expected_s > delivery.end_s + grace_s
    )
    if not short:
        return None
    frames = f"{delivery.frame_count} frame{'' if delivery.frame_count == 1 else 's'}"
    of = f" of {expected_s:.1f} s" if expected_s > delivery.end_s else ""
    return f"cut short or damaged: it ends after {frames}, at {delivery.end_s:.1f} s{of}"
