"""Axes: where a value lies, and where the ticks are. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

SIDE: Final = 1000.0
"""Of the square that charts are drawn in."""
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_LOG_FROM: Final = 15.0
"""An axis is logarithmic where its largest value is so many times its smallest."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    """From 0 to 1 along it."""
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values that fills one side of a chart."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, 0 to 1; what is outside lies on the edge."""
        if self.logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            value = math.log(max(value, self.low))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low)))

    @classmethod
    def linear(cls, highest: float, label: Callable[[float], str], *, low: float = 0.0, count: int = 4) -> Self:
        """From `low` to a round value at or above the highest."""
        span = max(highest - low, 1e-9)
        step = _round_step(span / count)
        high = low + step * math.ceil(round(span / step, 9))
        number = round((high - low) / step)
        values = [low + step * index for index in range(number + 1)]
        return cls(low, high, tuple(Tick((value - low) / (high - low), label(value)) for value in values))

    @classmethod
    def log(cls, lowest: float, highest: float, label: Callable[[float], str]) -> Self:
        """From a round value at or below the lowest to one at or above the highest; both are more than 0."""
        edges = [factor * 10.0**power for power in range(-7, 12) for factor in (1, 2, 5)]
        low = max(edge for edge in edges if edge <= lowest * 1.0001)
        high = min(edge for edge in edges if edge >= highest * 0.9999 and edge > low)
        inside = [edge for edge in edges if low <= edge <= high]
        if len(inside) > 7:
            inside = [edge for edge in inside if f"{edge:e}".startswith("1.0")]
        axis = cls(low, high, logarithmic=True)
        return cls(low, high, tuple(Tick(axis.at(edge), label(edge)) for edge in inside), logarithmic=True)

    @classmethod
    def fitting(cls, values: Iterable[float | None], label: Callable[[float], str]) -> Self:
        """Logarithmic where the values are far apart, else from 0."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        highest, lowest = max(known, default=1.0), min(known, default=0.0)
        if lowest > 0 and highest / lowest > _LOG_FROM:
            return cls.log(lowest, highest, label)
        return cls.linear(highest if highest > 0 else 1.0, label)

    @classmethod
    def time(cls, begins_s: float, ends_s: float) -> Self:
        """Seconds of a run's clock, with ticks at round times."""
        span = max(ends_s - begins_s, 1e-9)
        step = next((one for one in _TIME_STEPS if span / one <= 8), _TIME_STEPS[-1])
        first = math.ceil(begins_s / step)
        times = [step * index for index in range(first, math.floor(ends_s / step) + 1)]
        long = ends_s > 180
        return cls(
            begins_s,
            begins_s + span,
            tuple(Tick((time - begins_s) / span, _clock(time) if long else f"{time} s") for time in times),
        )

    @classmethod
    def tail(cls, fractions: Sequence[float]) -> Self:
        """Fractions of the requests, the further apart the nearer to all of them; see `tail_of`."""
        end = max((tail_of(one) for one in fractions if one < 1), default=1.0)
        end = max(end, 1.0)
        known = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
        ticks = tuple(Tick(tail_of(one) / end, f"{one * 100:.6g} %") for one in known if tail_of(one) <= end + 1e-9)
        return cls(0.0, end, ticks)


def tail_of(fraction: float) -> float:
    """How many times nine tenths of what is left have been taken: 0 at 0, 1 at 90 %, 2 at 99 %, 3 at 99.9 %."""
    return -math.log10(max(1e-12, 1 - fraction))


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _round_step(wanted: float) -> float:
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in _STEPS if step * power >= wanted * 0.999)
