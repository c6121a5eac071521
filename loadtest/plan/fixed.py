"""Loads whose steps are known before they begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loadtest.plan.steps import Step
from loadtest.scenario.loads import BurstLoad, ClosedLoad, FindRateLoad, KneeLoad, Load, OpenLoad, RampLoad, StepsLoad

WARM_UP = "warm-up"


def fixed_steps(load: Load) -> tuple[Step, ...]:
    """All steps of a load, the warm-up first.

    Raises:
        TypeError: Its steps follow from what is measured.
    """
    return warm_up(load) + _counting(load)


def warm_up(load: Load) -> tuple[Step, ...]:
    """The step that does not count, at the level at which the load begins; none if it is to take no time."""
    if not load.warm_up:
        return ()
    match load:
        case ClosedLoad() | FindRateLoad() | KneeLoad():
            return (Step(WARM_UP, load.warm_up, users=load.users, counts=False),)
        case StepsLoad(users=(first, *_)):
            return (Step(WARM_UP, load.warm_up, users=first, counts=False),)
        case StepsLoad(rates=(rate, *_)):
            return (_constant(WARM_UP, rate, load.warm_up, counts=False),)
        case RampLoad():
            return (_constant(WARM_UP, load.from_rate, load.warm_up, counts=False),)
        case OpenLoad() | BurstLoad():
            return (_constant(WARM_UP, load.rate, load.warm_up, counts=False),)
    raise AssertionError(load)


def _counting(load: Load) -> tuple[Step, ...]:
    match load:
        case ClosedLoad():
            return (users_step(load.users, load.duration),)
        case OpenLoad():
            return (rate_step(load.rate, load.duration),)
        case RampLoad():
            name = f"{load.from_rate:g}/s to {load.to_rate:g}/s"
            return (Step(name, load.duration, load.from_rate, load.to_rate),)
        case StepsLoad():
            return tuple(_levels(load))
        case BurstLoad():
            return tuple(_bursts(load))
        case _:
            raise TypeError(f"the steps of kind: {load.kind} follow from what is measured")


def _levels(load: StepsLoad) -> Sequence[Step]:
    seconds = load.step - load.settle
    levels = [rate_step(rate, seconds) for rate in load.rates] + [users_step(users, seconds) for users in load.users]
    if not load.settle:
        return levels
    steps: list[Step] = []
    for level in levels:
        steps += [settling(level, load.settle), level]
    return steps


def _bursts(load: BurstLoad) -> Sequence[Step]:
    steps: list[Step] = []
    for number in range(1, load.bursts + 1):
        steps.append(_constant(f"calm {number}", load.rate, load.every - load.burst))
        steps.append(_constant(f"burst {number}", load.burst_rate, load.burst))
    steps.append(_constant(f"calm {load.bursts + 1}", load.rate, load.every - load.burst))
    return steps


def rate_step(rate: float, seconds: float) -> Step:
    """A constant rate, named after it."""
    return _constant(f"{rate:g}/s", rate, seconds)


def users_step(users: int, seconds: float) -> Step:
    """Closed users, named after their number."""
    return Step("1 user" if users == 1 else f"{users} users", seconds, users=users)


def settling(level: Step, seconds: float) -> Step:
    """What comes before a level that is not to count from its first moment."""
    return replace(level, name=f"{level.name}, settling", seconds=seconds, counts=False)


def _constant(name: str, rate: float, seconds: float, *, counts: bool = True) -> Step:
    return Step(name, seconds, rate, rate, counts=counts)
