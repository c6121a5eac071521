"""How much load, and how long: the section `load` of a scenario, told apart by its key `kind`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from loadtest.scenario.values import SECTION, Duration, Rate, Users

Arrivals = Literal["poisson", "even"]
StepSeconds = Annotated[Duration, Field(ge=1, le=7 * 86400)]
"""Locust changes its number of users once a second at most, so nothing is shorter."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class ClosedLoad:
    """Users who wait for an answer before they ask again: a slow server is asked less often."""

    kind: Literal["closed"]
    users: Users = 8
    """Users at a time. Streams are users, too: each is one stream."""
    duration: StepSeconds = 30.0
    """How long, without the warm-up."""
    warm_up: Duration = 3.0
    """The same load before it, which does not count."""
    seed: int = 1
    """Of what is left to chance."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class Arriving:
    """What all loads share in which requests come when they are due, whether or not earlier ones were answered."""

    arrivals: Arrivals = "poisson"
    """`poisson`: independent users, who come in bunches at times. `even`: always the same gap."""
    warm_up: Duration = 3.0
    """Load before it, at the first rate, which does not count."""
    seed: int = 1
    """Of the arrivals: the same seed gives the same times, with any number of workers."""
    max_under_way: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Requests that may be unanswered at a time, over all workers. What is due beyond it is not sent: it counts as
    unsent, and is told loudly."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class OpenLoad(Arriving):
    """Requests at a constant rate, however the server fares. Latency counts from when a request was due."""

    kind: Literal["open"]
    rate: Rate
    """Requests per second."""
    duration: StepSeconds = 30.0
    """How long, without the warm-up."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class StepsLoad(Arriving):
    """One level after another: of rates, in an open loop, or of users, in a closed one. Shows where the knee is."""

    kind: Literal["steps"]
    rates: Annotated[tuple[Rate, ...], Field(max_length=200)] = ()
    """Requests per second of each step. Either these or `users`."""
    users: Annotated[tuple[Users, ...], Field(max_length=200)] = ()
    """Users of each step."""
    step: StepSeconds = 10.0
    """Length of each step."""
    settle: Duration = 0.0
    """The beginning of each step that does not count."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.rates) == bool(self.users):
            raise ValueError("rates: give either rates or users, each a list of at least one level")
        if self.settle >= self.step:
            raise ValueError("settle: expected less than the length of a step")
        return self


@dataclass(frozen=True, kw_only=True, config=SECTION)
class RampLoad(Arriving):
    """A rate that rises, or falls, straight from one to another."""

    kind: Literal["ramp"]
    from_rate: Rate = Field(alias="from")
    """Requests per second at the beginning."""
    to_rate: Rate = Field(alias="to")
    """Requests per second at the end."""
    duration: StepSeconds = 60.0
    """From the one to the other."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class BurstLoad(Arriving):
    """A base rate, and bursts above it that come again and again."""

    kind: Literal["burst"]
    rate: Rate
    """Requests per second between the bursts."""
    burst_rate: Rate
    """Requests per second in a burst."""
    burst: StepSeconds = 2.0
    """Length of a burst."""
    every: StepSeconds = 10.0
    """From the beginning of a burst to that of the next. The load ends between two."""
    bursts: Annotated[int, Field(ge=1, le=10_000)] = 3
    """How many."""

    @model_validator(mode="after")
    def _calm_between(self) -> Self:
        if self.every - self.burst < 1:
            raise ValueError("every: expected at least a second more than the length of a burst")
        return self


@dataclass(frozen=True, kw_only=True, config=SECTION)
class Searching(Arriving):
    """What loads share whose rates follow from what was measured before."""

    start: Rate | None = None
    """The first rate that is tried; left out: what the server answers when a few users keep it busy."""
    probe: StepSeconds = 10.0
    """Length of each try."""
    precision: Annotated[float, Field(ge=0.005, le=0.5)] = 0.03
    """The answer is found when the rate that fails is above the one that holds by this part of it at most."""
    repeats: Annotated[int, Field(ge=1, le=9)] = 3
    """A rate whose tries do not say clearly whether it holds is tried so often at most."""
    max_probes: Annotated[int, Field(ge=2, le=200)] = 30
    """The search ends after so many tries, with what it knows."""
    users: Users = 8
    """Closed users that find the first rate, and with `kind: knee` the saturated throughput."""
    saturate: StepSeconds = 6.0
    """How long they ask."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class FindRateLoad(Searching):
    """A search: how many requests per second keep a percentile of the latency below a limit?"""

    kind: Literal["find-rate"]
    limit_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """The latency that is to be kept, in milliseconds."""
    percentile: Annotated[float, Field(ge=50, lt=100)] = 99.0
    """The part of the requests, in percent, that has to keep it. What fails or is refused does not keep it."""


@dataclass(frozen=True, kw_only=True, config=SECTION)
class KneeLoad(Searching):
    """Both answers to what the server can carry: what busy users get, and the rate up to which it keeps up."""

    kind: Literal["knee"]
    drift: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    """A rate holds if the latency grows by this many seconds per second of load at most: a queue that only grows is
    overload."""


Load = ClosedLoad | OpenLoad | StepsLoad | RampLoad | BurstLoad | FindRateLoad | KneeLoad
"""One of the kinds of load."""
