"""The parts of a run in which the load follows one rule, before and after they have their place on its clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from loadtest.records import Loop, StepFacts


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the load: closed users, or a rate that runs straight from one to another."""

    name: str
    seconds: float
    rate_from: float | None = None
    """Requests per second at its beginning; None in a closed loop."""
    rate_to: float | None = None
    users: int | None = None
    """Users at a time; None in an open loop."""
    counts: bool = True
    """Whether it belongs to the results."""

    @property
    def loop(self) -> Loop:
        """Whether requests come when they are due, or when users are ready."""
        return "closed" if self.rate_from is None else "open"

    @property
    def offered(self) -> float:
        """The requests of it, on the average; 0 in a closed loop."""
        return (
            0.0
            if self.rate_from is None or self.rate_to is None
            else (self.rate_from + self.rate_to) / 2 * self.seconds
        )


@dataclass(frozen=True, slots=True)
class PlacedStep:
    """A step with its place on the run's clock."""

    index: int
    step: Step
    begins_s: float

    @property
    def ends_s(self) -> float:
        """When it is over: requests are due before it."""
        return self.begins_s + self.step.seconds

    def facts(self, ended_s: float | None = None) -> StepFacts:
        """What the records of a run say of it; `ended_s` if it was cut short."""
        step, ends_s = self.step, self.ends_s
        rate_to = step.rate_to
        if ended_s is not None and ended_s < ends_s:
            if step.rate_from is not None and step.rate_to is not None:
                rate_to = step.rate_from + (step.rate_to - step.rate_from) * (ended_s - self.begins_s) / step.seconds
            ends_s = ended_s
        return StepFacts(step.name, self.begins_s, ends_s, step.loop, step.rate_from, rate_to, step.users, step.counts)

    def to_message(self) -> dict[str, Any]:
        """For another process."""
        return {"index": self.index, "begins_s": self.begins_s, "step": dataclasses.asdict(self.step)}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """What `to_message` gave."""
        return cls(message["index"], Step(**message["step"]), message["begins_s"])


def place(steps: Iterable[Step], begins_s: float, first_index: int) -> list[PlacedStep]:
    """One step after another, without gaps."""
    placed: list[PlacedStep] = []
    for index, step in enumerate(steps, first_index):
        placed.append(PlacedStep(index, step, begins_s))
        begins_s = placed[-1].ends_s
    return placed


def step_at(placed: Sequence[PlacedStep], time_s: float) -> PlacedStep | None:
    """The step to which a time belongs; None before the first, after the last and in a pause."""
    for candidate in reversed(placed):
        if candidate.begins_s <= time_s:
            return candidate if time_s < candidate.ends_s else None
    return None
