"""What became of the images of one run, in numbers that do not grow with them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pasarela_client.detections import Detections, FrameResult
from pasarela_client.errors import DeadlineExpired, FrameDropped, ServerUnreachable

_STEP: Final = 1.01
"""Latencies are kept to a hundredth of themselves."""


class Latencies:
    """How long answers took, kept as how often each length came."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._count = 0

    def add(self, time_ns: int) -> None:
        """One answer; 0 was not measured."""
        if time_ns > 0:
            self._buckets[round(math.log(time_ns, _STEP))] += 1
            self._count += 1

    def percentile_ms(self, percent: float) -> float | None:
        """What so many percent of the answers did not exceed, to a hundredth; None if none was measured."""
        rank = max(1, math.ceil(self._count * percent / 100))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return float(_STEP**bucket / 1e6)
        return None


@dataclass
class Tally:
    """Counts results as they come."""

    done: int = 0
    """Answered with detections."""
    failed: int = 0
    """Answered with an error, or not fit to be sent."""
    dropped: int = 0
    """Left out, to keep up with a live source."""
    late: int = 0
    """Not answered before their deadline."""
    lost: int = 0
    """On their way when the connection broke."""
    unsaved: int = 0
    """Pictures of what was done that could not be written."""
    faults: int = 0
    """Sources that gave nothing, or not all they should."""
    moving: bool = False
    """Whether there were frames of a video or camera among them."""
    classes: Counter[str] = field(default_factory=Counter)
    """Detections by the name of their class."""
    latencies: Latencies = field(default_factory=Latencies)
    """From taking up an image until its result was there."""

    @property
    def count(self) -> int:
        """All that came, whatever became of them."""
        return self.done + self.failed + self.dropped + self.late + self.lost

    @property
    def all_done(self) -> bool:
        """Whether nothing went wrong; what was left out or given up as was asked for did not."""
        return not (self.failed or self.lost or self.unsaved or self.faults)

    @property
    def trouble(self) -> str:
        """What went otherwise than well, in few words; empty if nothing did."""
        counts = (
            (self.failed, "failed"),
            (self.dropped, "dropped to keep up"),
            (self.late, "too late"),
            (self.lost, "lost"),
            (self.unsaved, "not saved"),
        )
        return ", ".join(f"{count} {name}" for count, name in counts if count)

    def add(self, result: FrameResult, *, has_deadline: bool = False) -> None:
        """Counts one result.

        Args:
            result: Of any kind.
            has_deadline: Whether frames are given up on purpose when they come too late.
        """
        self.moving = self.moving or result.timestamp_s is not None
        if isinstance(result, Detections):
            self.done += 1
            self.classes.update(result.names.tolist())
            self.latencies.add(result.timings.round_trip_ns)
        elif isinstance(result.error, FrameDropped):
            self.dropped += 1
        elif isinstance(result.error, ServerUnreachable):
            self.lost += 1
        elif has_deadline and isinstance(result.error, DeadlineExpired):
            self.late += 1
        else:
            self.failed += 1
