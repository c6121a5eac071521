"""A run cut into windows of time: what is drawn over time, and what the noise of figures is resampled from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.records import StepFacts
from loadtest.report.requests import Bools, Floats

RESAMPLES: Final = 400
LEAST_FREEDOM: Final = 5
"""With fewer windows beyond one for each step nothing is said of the noise."""
_WANTED: Final = 30
_SHORTEST_S: Final = 0.5
_POINTS: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of about equal length that fill the steps of a run, none of them across two steps."""

    begins_s: Floats
    """On the run's clock, rising."""
    ends_s: Floats
    step: npt.NDArray[np.int64]
    """For each window, the index of its step among those that were cut."""

    @property
    def count(self) -> int:
        """Windows."""
        return len(self.begins_s)

    @property
    def seconds(self) -> Floats:
        """Their lengths."""
        return self.ends_s - self.begins_s

    @property
    def freedom(self) -> int:
        """Windows beyond one for each step."""
        return self.count - len(np.unique(self.step))

    @property
    def tell(self) -> bool:
        """Whether they are enough to say something of the noise."""
        return self.freedom >= LEAST_FREEDOM

    def of(self, times_s: Floats) -> npt.NDArray[np.int64]:
        """The window that each time lies in; -1 for those in none, NaN included."""
        if not self.count:
            return np.full(len(times_s), -1, dtype=np.int64)
        found = np.searchsorted(self.begins_s, times_s, side="right") - 1
        inside = (found >= 0) & (times_s < self.ends_s[np.clip(found, 0, None)])
        return np.where(inside, found, -1).astype(np.int64)

    def counts(self, times_s: Floats, rows: Bools | None = None) -> Floats:
        """How many of some times lie in each window.

        Args:
            times_s: On the run's clock.
            rows: Which of them count; None counts all.
        """
        found = self.of(times_s if rows is None else times_s[rows])
        return np.bincount(found[found >= 0], minlength=self.count).astype(np.float64)

    def draws(self, seed: int = 0) -> Floats:
        """How often each window is drawn in runs made of as many windows of each step, drawn with replacement.

        Args:
            seed: The same seed draws the same windows, so that a report made again says the same.

        Returns:
            Resamples × windows.
        """
        generator = np.random.default_rng(seed)
        drawn = np.zeros((RESAMPLES, self.count))
        for step in np.unique(self.step):
            (members,) = np.nonzero(self.step == step)
            drawn[:, members] = generator.multinomial(
                len(members), np.full(len(members), 1 / len(members)), size=RESAMPLES
            )
        return drawn


def cut(steps: Iterable[StepFacts], window_s: float) -> Windows:
    """Cuts each step into windows of about this length: at least one, all of a step equally long."""
    begins: list[float] = []
    ends: list[float] = []
    of_step: list[int] = []
    for number, step in enumerate(steps):
        length_s = step.ends_s - step.begins_s
        if length_s <= 0:
            continue
        pieces = max(1, round(length_s / window_s))
        edges = np.linspace(step.begins_s, step.ends_s, pieces + 1)
        begins += edges[:-1].tolist()
        ends += edges[1:].tolist()
        of_step += [number] * pieces
    return Windows(np.array(begins, dtype=np.float64), np.array(ends, dtype=np.float64), np.array(of_step, np.int64))


def resampling_windows(steps: Sequence[StepFacts]) -> Windows:
    """Windows for the noise of figures: about thirty, as they should be longer than what disturbs a run."""
    return cut(steps, max(_SHORTEST_S, _length_s(steps) / _WANTED))


def drawing_windows(steps: Sequence[StepFacts]) -> Windows:
    """Windows for charts over time: as many as can be told apart, of a round length."""
    length_s = _length_s(steps)
    round_s = next((one for one in _ROUND_S if length_s / one <= _POINTS), length_s / _POINTS)
    return cut(steps, round_s)


_ROUND_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)


def _length_s(steps: Sequence[StepFacts]) -> float:
    return sum(max(0.0, step.ends_s - step.begins_s) for step in steps)
