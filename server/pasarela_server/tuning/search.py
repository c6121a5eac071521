"""The search: rounds of measurements, each candidate in turns with the configuration as it is, and a confirmation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from pasarela_server.tuning.candidate import BASELINE, Candidate
from pasarela_server.tuning.halving import Standing, Verdict, judge, standing, survivors
from pasarela_server.tuning.journal import Journal, Sitting
from pasarela_server.tuning.measurement import Point, Slice, points, swing
from pasarela_server.tuning.operating import fastest, operating_point
from pasarela_server.tuning.schedule import Schedule


class CandidateFailed(Exception):
    """A candidate cannot be loaded or measured; the message says why."""

    def __init__(self, reason: str, *, backend_missing: bool = False, candidate: Candidate = BASELINE) -> None:
        super().__init__(reason)
        self.backend_missing = backend_missing
        """True if the reason is a framework that is not installed."""
        self.candidate = candidate
        """Which one; a search says it of all but the baseline."""


class Measured(Protocol):
    """A candidate that is loaded."""

    def measure(self, clients: int, seconds: float) -> Slice:
        """Puts load on it; raises CandidateFailed if it does not answer."""
        ...


Open = Callable[[Candidate], AbstractContextManager[Measured]]
"""Loads a candidate for as long as the block lasts; raises CandidateFailed if that cannot be done."""
OnSlice = Callable[[Candidate, Slice], None]
"""Told of each slice that was measured."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    verdict: Verdict[Candidate] | None
    """None: no candidate came near the configuration as it is, so that nothing was left to confirm."""
    measured: Mapping[Candidate, tuple[Point, ...]]
    """Of each candidate that could be measured, and of the baseline: a point for each load."""
    failures: Mapping[Candidate, str] = field(default_factory=dict)
    """Why the others could not."""
    ratios: Mapping[Candidate, tuple[int, float]] = field(default_factory=dict)
    """Of each candidate: the last round that it was in, from 1, and its worth there over the configuration as it is."""
    swing: tuple[float, float] = (0.0, 0.0)
    """The lowest and the highest throughput of the configuration as it is in single slices under one load: all that
    lies between is the machine's doing."""

    @property
    def choice(self) -> Candidate:
        """What to run."""
        return BASELINE if self.verdict is None else self.verdict.choice


class Search:
    """Finds the best of some candidates. Everything that was measured goes into a journal and is taken from there."""

    def __init__(
        self,
        open_candidate: Open,
        schedule: Schedule,
        target_ms: float | None,
        journal: Journal,
        on_slice: OnSlice = lambda _candidate, _slice: None,
    ) -> None:
        """Builds the search.

        Args:
            open_candidate: Loads a candidate.
            schedule: How long to measure what.
            target_ms: Bound on p99, if there is one.
            journal: What was measured before, and takes what is measured now.
            on_slice: Told of each slice.
        """
        self._open = open_candidate
        self._schedule = schedule
        self._target_ms = target_ms
        self._journal = journal
        self._on_slice = on_slice
        self._slices: dict[Candidate, list[Slice]] = {}
        self._failures: dict[Candidate, str] = {}
        self._ratios: dict[Candidate, tuple[int, float]] = {}

    def run(self, baseline: Measured, candidates: Sequence[Candidate], kept: Sequence[Candidate] = ()) -> Found:
        """Searches.

        Args:
            baseline: The configuration as it is, loaded, as long as the search lasts.
            candidates: Those that the schedule has time for.
            kept: Candidates that take part in the confirmation however they did: the server's defaults.

        Raises:
            CandidateFailed: The baseline does not answer.
        """
        if not candidates:
            self._enter(self._journal.find("alone", ()) or self._alone(baseline))
        staying, number = tuple(candidates), 0
        while staying:
            standings = self._round(number, staying, baseline)
            staying = survivors(standings)
            number += 1
            if len(standings) <= 1:
                break
        others = dict.fromkeys((*(each for each in kept if each not in self._failures), *staying))
        verdict = self._confirm((BASELINE, *others), baseline)
        measured = {candidate: points(slices) for candidate, slices in self._slices.items()}
        swung = swing(self._slices.get(BASELINE, ()))
        return Found(verdict, measured, dict(self._failures), dict(self._ratios), swung)

    def _round(self, number: int, staying: Sequence[Candidate], baseline: Measured) -> dict[Candidate, Standing]:
        standings: dict[Candidate, Standing] = {}
        for candidate in staying:
            sitting = self._journal.find(f"round {number}", (candidate,)) or self._sit(number, candidate, baseline)
            self._enter(sitting)
            if sitting.failure is None:
                mine, its = (points(sitting.slices[each]) for each in (candidate, BASELINE))
                standings[candidate] = standing(mine, its, self._target_ms)
                self._ratios[candidate] = number + 1, standings[candidate].ratio
        return standings

    def _alone(self, baseline: Measured) -> Sitting:
        seconds = self._schedule.confirm_s
        slices = [self._measure(BASELINE, baseline, clients, seconds) for clients in self._schedule.levels]
        return Sitting("alone", (), {BASELINE: slices})

    def _sit(self, number: int, candidate: Candidate, baseline: Measured) -> Sitting:
        """Measures a candidate and the baseline in turns."""
        name, slices = f"round {number}", {BASELINE: list[Slice](), candidate: list[Slice]()}
        try:
            with self._load(candidate) as opened:
                for loads in self._loads(number, candidate):
                    for who, probe in ((BASELINE, baseline), (candidate, opened)):
                        slices[who].append(self._measure(who, probe, loads[who], self._schedule.seconds(number)))
        except CandidateFailed as error:
            if error.candidate == BASELINE:
                raise
            return Sitting(name, (candidate,), {}, str(error))
        return Sitting(name, (candidate,), slices)

    def _loads(self, number: int, candidate: Candidate) -> list[Mapping[Candidate, int]]:
        """By candidate, how many clients to measure it with, turn by turn."""
        if number == 0:
            return [{BASELINE: clients, candidate: clients} for clients in self._schedule.levels]
        return [{who: self._best_load(who) for who in (BASELINE, candidate)}] * self._schedule.turns

    def _confirm(self, finalists: tuple[Candidate, ...], baseline: Measured) -> Verdict[Candidate] | None:
        """Compares the finalists; one that fails is left out, and the comparison begins anew."""
        while len(finalists) > 1:
            try:
                return judge(finalists, self._repeats(finalists, baseline), self._target_ms)
            except CandidateFailed as error:
                if error.candidate == BASELINE:
                    raise
                self._failures[error.candidate] = str(error)
                finalists = tuple(each for each in finalists if each != error.candidate)
        return None

    def _repeats(
        self, finalists: tuple[Candidate, ...], baseline: Measured
    ) -> list[Mapping[Candidate, Sequence[Slice]]]:
        repeats: list[Mapping[Candidate, Sequence[Slice]]] = []
        # All under the load of each: nobody is compared at a load that happened to look best for it once.
        loads = sorted({self._best_load(each) for each in finalists})
        probes: dict[Candidate, Measured] = {BASELINE: baseline}
        with ExitStack() as loaded:
            for repeat in range(self._schedule.repeats):
                sitting = self._journal.find(f"repeat {repeat}", finalists[1:])
                if sitting is None:
                    for each in finalists:
                        if each not in probes:
                            probes[each] = loaded.enter_context(self._load(each))
                    sitting = self._repeat(repeat, finalists, probes, loads)
                self._enter(sitting)
                repeats.append(sitting.slices)
        return repeats

    def _repeat(
        self,
        repeat: int,
        finalists: tuple[Candidate, ...],
        probes: Mapping[Candidate, Measured],
        loads: Sequence[int],
    ) -> Sitting:
        # Whoever comes first in one repeat comes last in the next: what drifts in between favours nobody.
        turns = finalists if repeat % 2 == 0 else finalists[::-1]
        slices: dict[Candidate, list[Slice]] = {each: [] for each in turns}
        for clients in loads:
            for each in turns:
                slices[each].append(self._measure(each, probes[each], clients, self._schedule.confirm_s))
        return Sitting(f"repeat {repeat}", finalists[1:], slices)

    @contextmanager
    def _load(self, candidate: Candidate) -> Iterator[Measured]:
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(self._open(candidate))
            except CandidateFailed as error:
                raise CandidateFailed(str(error), candidate=candidate) from error
            yield opened

    def _measure(self, who: Candidate, probe: Measured, clients: int, seconds: float) -> Slice:
        try:
            measured = probe.measure(clients, seconds)
        except CandidateFailed as error:
            raise CandidateFailed(str(error), candidate=who) from error
        self._on_slice(who, measured)
        return measured

    def _enter(self, sitting: Sitting) -> None:
        """Puts a sitting into the journal and takes what it says."""
        self._journal.add(sitting)
        for candidate, slices in sitting.slices.items():
            self._slices.setdefault(candidate, []).extend(slices)
        if sitting.failure is not None:
            self._failures[sitting.candidates[0]] = sitting.failure

    def _best_load(self, candidate: Candidate) -> int:
        """The load where it does best, of all that is known by now; where it keeps no target, the one nearest to it."""
        found = points(self._slices.get(candidate, ()))
        best = operating_point(found, self._target_ms) or fastest(found)
        return self._schedule.levels[-1] if best is None else best.clients
