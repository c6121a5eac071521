"""What a measurement is: some steps, taken in turn, round after round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.benchmark.bench import Bench
from loadtest.benchmark.figures import Figures


@dataclass(frozen=True, slots=True)
class Step:
    """Takes one figure, or a few that belong together."""

    what: str
    """For the progress bar."""
    take: Callable[[Figures], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Something that can be measured by itself."""

    name: str
    about: str
    """One line for the help."""
    prepare: Callable[[Bench], Sequence[Step]]
    """Starts what it needs, and says what a round consists of."""
    once: bool = False
    """True if it is long and has its repeats inside: one round, whatever was asked for."""
    needs_models: bool = True
    """False if it makes the models that it measures."""
