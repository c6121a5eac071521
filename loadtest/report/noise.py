"""How far a figure of one run can be trusted, and whether two runs differ. Pure.

Requests of one moment fare alike: a pause of the machine delays all that are under way. So they are no independent
observations, and resampling single requests would promise too much. What is resampled are windows of time, whole
(a block bootstrap): each figure is computed again from windows drawn with replacement, and how much it varies is its
noise. With the few windows of a run the noise is itself uncertain, so intervals use Student's t.

Positive figures (latencies, rates, memory) vary by ratios and are compared as such; shares are compared by difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
from scipy import stats

from loadtest.report.requests import Floats
from loadtest.report.windows import RESAMPLES, Windows

CONFIDENCE: Final = 0.99
"""Of the interval of a difference: so often figures that did not change are not marked."""
SHOWN_CONFIDENCE: Final = 0.95
"""Of the intervals beside single figures."""
Scale = Literal["ratio", "difference"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its noise."""

    value: float
    scale: Scale = "ratio"
    error: float | None = None
    """Standard error: of the logarithm for `ratio`, else of the value; None if it is not known."""
    freedom: int = 0
    """Degrees of freedom of the error: windows that it comes from, less one for each step."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the figure lies with `SHOWN_CONFIDENCE`; None if the noise is not known."""
        if self.error is None:
            return None
        reach = self.error * _student(SHOWN_CONFIDENCE, self.freedom)
        if self.scale == "ratio":
            return self.value * math.exp(-reach), self.value * math.exp(reach)
        return self.value - reach, self.value + reach

    @property
    def relative_noise(self) -> float | None:
        """Half the interval, as a part of the value; None if the noise is not known or the value is 0."""
        if self.interval is None or not self.value:
            return None
        low, high = self.interval
        return (high - low) / 2 / abs(self.value)

    def to_json(self) -> dict[str, Any]:
        """With its interval, for whoever reads the file."""
        interval = None if self.interval is None else [_rounded(end) for end in self.interval]
        return {
            "value": _rounded(self.value),
            "scale": self.scale,
            "error": None if self.error is None else _rounded(self.error),
            "freedom": self.freedom,
            "interval": interval,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        value = content["value"]
        return cls(math.nan if value is None else float(value), content["scale"], content["error"], content["freedom"])


@dataclass(frozen=True, slots=True)
class Difference:
    """How a figure changed from one run to another."""

    old: float
    new: float
    scale: Scale
    change: float
    """new ÷ old − 1 for `ratio`, else new − old."""
    low: float | None
    """Where the true change lies with `CONFIDENCE`; None if the noise of one of them is not known."""
    high: float | None

    def beyond(self, floor: float) -> bool:
        """Whether it is marked: the interval leaves out 0, and the change is at least the floor."""
        if self.low is None or self.high is None or not math.isfinite(self.change):
            return False
        return (self.low > 0 or self.high < 0) and abs(self.change) >= floor


def estimate(value: float, resampled: Floats, windows: Windows, *, scale: Scale = "ratio") -> Estimate:
    """The noise of a figure out of its values in resampled runs.

    Args:
        value: Of the run as it was.
        resampled: Of runs whose windows were drawn with replacement.
        windows: Of the run.
        scale: How it varies; a ratio needs positive values.
    """
    drawn = resampled[np.isfinite(resampled)]
    if not math.isfinite(value) or not windows.tell or len(drawn) < RESAMPLES * 0.9:
        return Estimate(value, scale)
    if scale == "ratio":
        if value <= 0 or drawn.min() <= 0:
            return Estimate(value, scale)
        drawn = np.log(drawn)
    # Resampling w windows varies by (w - 1) / w of what w windows of a longer run would.
    error = float(drawn.std(ddof=1)) * math.sqrt(windows.count / windows.freedom)
    return Estimate(value, scale, error, windows.freedom)


def difference(old: Estimate, new: Estimate) -> Difference:
    """The change from one run to another, with the interval of Welch's t."""
    ratio = old.scale == "ratio"
    change = new.value - old.value
    if ratio:
        change = change / old.value if old.value else math.nan
    if old.error is None or new.error is None or not math.isfinite(change) or (ratio and change <= -1):
        return Difference(old.value, new.value, old.scale, change, None, None)
    error = math.hypot(old.error, new.error)
    reach = error * _student(CONFIDENCE, _freedom(old, new))
    middle = math.log1p(change) if ratio else change
    low, high = middle - reach, middle + reach
    if ratio:
        low, high = math.expm1(low), math.expm1(high)
    return Difference(old.value, new.value, old.scale, change, low, high)


def _freedom(old: Estimate, new: Estimate) -> float:
    parts = [((one.error or 0.0) ** 2, one.freedom) for one in (old, new)]
    below = sum(square**2 / degrees for square, degrees in parts)
    return sum(square for square, _ in parts) ** 2 / below if below else float(min(degrees for _, degrees in parts))


def _student(confidence: float, degrees: float) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, degrees))


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
