"""Measured values by subject and quantity, one for each round, so that ratios can be taken round by round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loadtest.benchmark.spread import Spread

Taken = dict[str, dict[str, list[float]]]
"""subject → quantity → a value for each round."""


class Figures:
    """What one measurement took. A subject is a model, a server or a set-up; a quantity names its unit."""

    def __init__(self, taken: Mapping[str, Mapping[str, Sequence[float]]] | None = None) -> None:
        """Begins with nothing, or with what was taken before."""
        self.taken: Taken = {
            subject: {quantity: list(values) for quantity, values in quantities.items()}
            for subject, quantities in (taken or {}).items()
        }

    def add(self, subject: str, quantity: str, value: float) -> None:
        """Notes one value."""
        self.taken.setdefault(subject, {}).setdefault(quantity, []).append(value)

    def subjects(self) -> list[str]:
        """In the order in which they were first noted."""
        return list(self.taken)

    def role(self, role: str) -> str | None:
        """The first subject of a kind of model: `openvino` is `yolov9t_openvino`; None if there is none."""
        return next((subject for subject in self.taken if subject.rpartition("_")[2] == role), None)

    def values(self, subject: str, quantity: str) -> list[float]:
        """All rounds' values; empty if it was not measured."""
        return self.taken.get(subject, {}).get(quantity, [])

    def spread(self, subject: str, quantity: str) -> Spread | None:
        """Over the rounds; None if it was not measured."""
        return Spread.of(self.values(subject, quantity))

    def median(self, subject: str, quantity: str) -> float | None:
        """Over the rounds; None if it was not measured."""
        spread = self.spread(subject, quantity)
        return None if spread is None else spread.median

    def ratio(self, above: tuple[str, str], below: tuple[str, str]) -> Spread | None:
        """One quantity divided by another, each a (subject, quantity), taken round by round."""
        return self._pairs(above, below, lambda a, b: a / b)

    def difference(self, more: tuple[str, str], less: tuple[str, str]) -> Spread | None:
        """One quantity minus another, each a (subject, quantity), taken round by round."""
        return self._pairs(more, less, lambda a, b: a - b)

    def _pairs(
        self, first: tuple[str, str], second: tuple[str, str], of: Callable[[float, float], float]
    ) -> Spread | None:
        # A run that was stopped may have one of the two once more than the other.
        return Spread.of([of(a, b) for a, b in zip(self.values(*first), self.values(*second), strict=False)])
