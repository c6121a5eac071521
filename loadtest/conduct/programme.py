"""Which steps come next, by what was measured, and what the run found in the end. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from loadtest.plan.fixed import fixed_steps, rate_step, settling, users_step, warm_up
from loadtest.plan.steps import PlacedStep, Step
from loadtest.records import Finding, RequestRecord
from loadtest.scenario.loads import FindRateLoad, KneeLoad, Load, StepsLoad
from loadtest.search.decide import Found, Reason, SearchSettings, Try, decide
from loadtest.search.judgement import Judge, keeps_latency, keeps_up
from loadtest.search.levels import knee_of_rates, knee_of_users
from loadtest.search.probe import Probe, measure_probe

Measured = Mapping[int, Sequence[RequestRecord]]
"""Requests by the index of their step."""

_FEWEST_REQUESTS = 20
"""In a probe: with fewer there is nothing to judge."""
_STEP_DRIFT = 0.02
_TRIES_BETWEEN_BUSY = 3
"""Of a search for the knee: what a machine can do changes, and both answers are to be about the same minutes."""
_SETTLE_S = 1.0
_DIGITS = 4
"""Of the rates that a search tries: finer than any precision, and people can read them."""
_WHY: Mapping[Reason, str] = {
    "precise": "the search came as close as it was asked to",
    "noise": "what lies closer together could not be told apart",
    "budget": "the search had no tries left",
    "too-low": "even the lowest rate that a probe can measure did not hold",
    "too-high": "even the highest rate held",
}


class Programme(Protocol):
    """Gives one lot of steps after another."""

    adaptive: bool
    """Whether it wants to know what was measured."""
    foreseen: bool
    """Whether its length is known before."""

    def next(self, placed: Sequence[PlacedStep], measured: Measured) -> tuple[Sequence[Step], str]:
        """The next steps, and why, in a few words; none when the run is over.

        Args:
            placed: All steps so far.
            measured: Their requests, where the programme is adaptive.
        """
        ...

    def findings(self, placed: Sequence[PlacedStep], measured: Measured) -> tuple[Finding, ...]:
        """What the run found, when it is over."""
        ...

    def results(self, placed: Sequence[PlacedStep]) -> Collection[int]:
        """The indices of the steps that are the run's results."""
        ...


def programme_of(load: Load) -> Programme:
    """The programme of a load."""
    return Search(load) if isinstance(load, FindRateLoad | KneeLoad) else Fixed(load)


class Fixed:
    """Steps that are known before."""

    foreseen = True

    def __init__(self, load: Load) -> None:
        """Begins with its warm-up."""
        self._load = load
        self.adaptive = isinstance(load, StepsLoad)

    def next(self, placed: Sequence[PlacedStep], measured: Measured) -> tuple[Sequence[Step], str]:  # noqa: ARG002
        """All at once."""
        return ((), "") if placed else (fixed_steps(self._load), "")

    def findings(self, placed: Sequence[PlacedStep], measured: Measured) -> tuple[Finding, ...]:
        """Of steps: where the knee is."""
        if not isinstance(self._load, StepsLoad):
            return ()
        counting = [one for one in placed if one.step.counts and measured.get(one.index)]
        if not counting:
            return ()
        if self._load.users:
            levels = [(one.step.users or 0, throughput(one, measured)) for one in counting]
            users, top = knee_of_users(levels)
            few = f"{users} user{'s' * (users != 1)} come near it; more of them wait longer and get no more"
            return (
                Finding("saturation", top, "/s", explanation="the most answers per second of any step"),
                Finding("knee", float(users), "users", explanation=few),
            )
        knee = knee_of_rates(
            [measure_probe(one.step.rate_from or 0, measured[one.index]) for one in counting], keeps_up(_STEP_DRIFT)
        )
        why = "the highest rate at which latency does not grow and grows"
        if knee.fails is None:
            why += "; all steps held, so the knee is above them"
        return (Finding("knee", knee.holds, "/s", knee.holds, knee.fails, why),)

    def results(self, placed: Sequence[PlacedStep]) -> Collection[int]:
        """All but the warm-up and what settles."""
        return [one.index for one in placed if one.step.counts]


class Search:
    """Saturates the server with closed users, then tries one rate after another."""

    adaptive = True
    foreseen = False

    def __init__(self, load: FindRateLoad | KneeLoad) -> None:
        """Has tried nothing yet."""
        self._load = load
        self._found: Found | None = None
        self._saturates = isinstance(load, KneeLoad) or load.start is None
        judge: Judge
        if isinstance(load, KneeLoad):
            judge, self._limit_s = keeps_up(load.drift), float("inf")
        else:
            judge, self._limit_s = keeps_latency(load.percentile), load.limit_ms / 1000
        self._judge = judge

    def next(self, placed: Sequence[PlacedStep], measured: Measured) -> tuple[Sequence[Step], str]:
        """Busy users first, then one try after another."""
        load = self._load
        if not placed:
            if self._saturates:
                return (*warm_up(load), users_step(load.users, load.saturate)), "what do busy users get"
            if load.warm_up and load.start is not None:
                return (Step("warm-up", load.warm_up, load.start, load.start, counts=False),), ""
        action = decide(self._settings(placed, measured), self._judge, self._probes(placed, measured))
        tries = _tries_since_busy(placed)
        if isinstance(load, KneeLoad) and tries and (tries >= _TRIES_BETWEEN_BUSY or isinstance(action, Found)):
            busy = users_step(load.users, load.saturate)
            return (settling(busy, _SETTLE_S), busy), "what do busy users get now"
        if isinstance(action, Found):
            self._found = action
            return (), ""
        assert isinstance(action, Try)
        return (rate_step(_rounded(action.rate), load.probe),), action.why

    def findings(self, placed: Sequence[PlacedStep], measured: Measured) -> tuple[Finding, ...]:
        """The rate; of a knee also what busy users got, and how the two agree."""
        load, found = self._load, self._found
        if found is None:
            return ()
        probes = f"{found.probes} tr{'y' if found.probes == 1 else 'ies'}; {_WHY[found.reason]}"
        if isinstance(load, FindRateLoad):
            said = f"{load.percentile:g} % of the requests within {load.limit_ms:g} ms; {probes}"
            return (Finding("rate", found.rate, "/s", found.low, found.high, said),)
        busy = self._saturation(placed, measured)
        knee = Finding(
            "knee", found.rate, "/s", found.low, found.high, f"the highest rate that is kept up with; {probes}"
        )
        if busy is None:
            return (knee,)
        times = sorted(self._busy(placed, measured))
        said = f"answers to {load.users} busy users; the median of {len(times)} times"
        saturation = Finding("saturation", busy, "/s", times[0], times[-1], said)
        if found.rate is None:
            return saturation, knee
        said = "the knee by search over the throughput by saturation"
        return saturation, knee, Finding("ratio", found.rate / busy, "", explanation=said)

    def results(self, placed: Sequence[PlacedStep]) -> Collection[int]:
        """The tries at the rate that was found: the others are how the search went. All of a search without an end.

        Where no rate held, the tries at the lowest one: they say how far the server was from it.
        """
        counting = [one for one in placed if one.step.counts]
        found = self._found
        if found is None:
            return [one.index for one in counting]
        rate = found.high if found.rate is None else found.rate
        return [one.index for one in counting if rate is not None and one.step.rate_from == rate]

    def _settings(self, placed: Sequence[PlacedStep], measured: Measured) -> SearchSettings:
        load = self._load
        lowest = _rounded(_FEWEST_REQUESTS / load.probe)
        start = load.start or self._saturation(placed, measured) or lowest
        return SearchSettings(max(start, lowest), load.precision, load.repeats, load.max_probes, lowest)

    def _probes(self, placed: Sequence[PlacedStep], measured: Measured) -> list[Probe]:
        return [
            measure_probe(one.step.rate_from, measured.get(one.index, ()), self._limit_s)
            for one in placed
            if one.step.rate_from is not None and one.step.counts
        ]

    def _saturation(self, placed: Sequence[PlacedStep], measured: Measured) -> float | None:
        busy = self._busy(placed, measured)
        return statistics.median(busy) if busy and any(busy) else None

    def _busy(self, placed: Sequence[PlacedStep], measured: Measured) -> list[float]:
        return [throughput(one, measured) for one in placed if one.step.users and one.step.counts]


def _tries_since_busy(placed: Sequence[PlacedStep]) -> int:
    """Rates that were tried since busy users were served for the last time."""
    return sum(1 for _ in itertools.takewhile(lambda one: one.step.rate_from is not None, reversed(placed)))


def _rounded(rate: float) -> float:
    return float(f"{rate:.{_DIGITS}g}")


def throughput(placed: PlacedStep, measured: Measured) -> float:
    """Answers per second that came while a step lasted, those included that were asked for before it."""
    came = sum(
        record.done_s is not None and placed.begins_s <= record.done_s < placed.ends_s and record.answered
        for index, records in measured.items()
        if index <= placed.index
        for record in records
    )
    return came / placed.step.seconds
