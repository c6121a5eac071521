"""Conducts one run: says who sends what when, waits for what comes back, and leaves the facts of the run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from loadtest.access import Access
from loadtest.conduct.collector import Collector
from loadtest.conduct.messages import BEGIN, BROKEN, END, ENDED, FINISH, QUIET, RECORDS, STEPS
from loadtest.conduct.programme import programme_of
from loadtest.conduct.progress import Progress
from loadtest.plan.steps import PlacedStep, place, step_at
from loadtest.records import RunFacts, StepFacts
from loadtest.scenario import Scenario
from loadtest.users.sending import RunClock

Tick = tuple[int, float, list[Any]]
"""Locust's: users, how many of them come or go in a second, and their classes."""

_LEAD_S: Final = 0.5
"""From saying what to do until it begins: users have to be made before."""
_LEAD_FAR_S: Final = 2.0
"""The same where they are made in other processes."""
_LEAD_NEXT_S: Final = 0.2
"""The same where they are there already."""
_LOOK_S: Final = 0.25
_AWAY_S: Final = 5.0
"""How long the last records of those who send may take."""
_ANSWERS_S: Final = 3.0
"""How long requests under way may take when a run is cut short."""
_ALL_AT_ONCE: Final = 100.0
"""Users a second; Locust advises against more."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be run, and where it leaves its records."""

    scenario: Scenario
    document: Mapping[str, Any]
    name: str
    access: Access
    folder: Path


class Conductor:
    """One run. Lives where Locust's master is, or where everything is."""

    def __init__(self, environment: Any, run: Run, progress: Progress | None = None) -> None:
        """Begins nothing yet.

        Args:
            environment: Locust's, with its runner.
            run: What is to be run.
            progress: Who watches.
        """
        self._environment = environment
        self._runner = environment.runner
        self._run = run
        self._programme = programme_of(run.scenario.load)
        self._collector = Collector(run.folder, keep=self._programme.adaptive)
        self._progress = progress or Progress()
        self._started_at = time.time()
        self._clock = RunClock(self._started_at)
        self._placed: list[PlacedStep] = []
        self._shares: list[str] = []
        self._stop = Event()
        self._cut_short = False
        self._fault = ""
        self._concluded = False
        self._ticks = self._play()

    @property
    def folder(self) -> Path:
        """Where the run leaves its records."""
        return self._run.folder

    @property
    def concluded(self) -> bool:
        """Whether the run is over and its facts are written."""
        return self._concluded

    def tick(self) -> Tick | None:
        """What Locust is to do next; waits until there is something. None when the run is over."""
        return next(self._ticks, None)

    def cut_short(self) -> None:
        """Ends the run soon, from wherever; what was measured stays."""
        if not self._concluded:
            self._cut_short = True
            self._stop.set()

    def abandon(self) -> None:
        """Ends the run now, as Locust stops by itself; waits until the last records are there."""
        if not self._concluded:
            self.cut_short()
            self._conclude()

    def receive(self, message: str, data: dict[str, Any]) -> None:
        """Something that those who send say."""
        if message == RECORDS:
            try:
                self._collector.take(data)
            except OSError as error:
                self._give_up(f"records cannot be written, so the run ends here: {error}")
        elif message == QUIET:
            self._collector.quiet[data["share"]] = data["last"]
        elif message == ENDED:
            self._collector.ended.add(data["share"])
        elif message == BROKEN and not self._concluded:
            self._give_up(f"a user of worker {data['share']} broke, so the run ends here: {data['why']}")

    def _give_up(self, why: str) -> None:
        if not self._stop.is_set():
            self._progress.say(why)
            self._fault = why
            self.cut_short()

    def _play(self) -> Iterator[Tick]:
        self._begin()
        users: tuple[int, str] = (0, "")
        while not self._stop.is_set():
            steps, why = self._programme.next(self._placed, self._collector.measured)
            if not steps:
                break
            kind = steps[0].loop
            if users[0] and users[1] != kind:
                yield 0, _ALL_AT_ONCE, self._classes(users[1])
                self._wait_until_nobody_is_left()
                users = (0, "")
            placed = place(steps, self._clock.now() + self._lead(fresh=not users[0]), len(self._placed))
            self._placed += placed
            self._tell(STEPS, {"steps": [one.to_message() for one in placed]})
            for one in placed:
                count = len(self._shares) if kind == "open" else one.step.users or 0
                if (count, kind) != users:
                    users = (count, kind)
                    if one is not placed[0]:
                        self._wait_until(one.begins_s)
                    yield count, min(_ALL_AT_ONCE, float(count)), self._classes(kind)
                self._wait_until(one.ends_s)
            self._wait_for_quiet(placed[-1].index)
            if why:
                self._progress.say(self._told(placed, why))
        self._conclude()

    def _begin(self) -> None:
        clients = getattr(self._runner, "clients", None)
        self._shares = [""] if clients is None else sorted(client.id for client in clients.ready)
        self._environment.stop_timeout = self._run.scenario.finish
        for share, client_id in enumerate(self._shares):
            told = {
                "scenario": dict(self._run.document),
                "name": self._run.name,
                "access": self._run.access.to_message(),
                "started_at": self._started_at,
                "share": share,
                "shares": len(self._shares),
            }
            self._runner.send_message(BEGIN, told, client_id or None)

    def _lead(self, *, fresh: bool) -> float:
        if not fresh:
            return _LEAD_NEXT_S
        return _LEAD_S if self._shares == [""] else _LEAD_FAR_S

    def _classes(self, kind: str) -> list[Any]:
        # With them comes Locust, which patches the process that it is imported into.
        from loadtest.users.cast import ARRIVALS, classes_for

        return [ARRIVALS] if kind == "open" else classes_for(self._run.scenario)

    def _tell(self, message: str, data: dict[str, Any]) -> None:
        for client_id in self._shares:
            self._runner.send_message(message, data, client_id or None)

    def _wait_until(self, time_s: float) -> None:
        while (left_s := time_s - self._clock.now()) > 0 and not self._stop.wait(min(left_s, _LOOK_S)):
            self._show()

    def _wait_until_nobody_is_left(self) -> None:
        """Locust must not be told of other users while it still stops some."""
        until_s = self._clock.now() + self._run.scenario.finish + _AWAY_S
        while self._runner.user_count and self._clock.now() < until_s:
            gevent.sleep(_LOOK_S / 5)

    def _wait_for_quiet(self, last: int) -> None:
        """Waits until everything of the steps has ended, as long as the scenario allows."""
        until_s = self._clock.now() + self._run.scenario.finish
        while self._clock.now() < until_s and not self._stop.is_set():
            if all(self._collector.quiet.get(share, -1) >= last for share in self._present()):
                return
            self._stop.wait(_LOOK_S / 5)
            self._show()

    def _wait_for_answers(self, last: int) -> None:
        """A run that is cut short is no reason to count what is under way as lost; for a while."""
        until_s = self._clock.now() + _ANSWERS_S
        while self._clock.now() < until_s:
            if all(self._collector.quiet.get(share, -1) >= last for share in self._present()):
                return
            gevent.sleep(_LOOK_S / 5)

    def _present(self) -> list[int]:
        """The shares of those who are still there."""
        clients = getattr(self._runner, "clients", None)
        if clients is None:
            return [0]
        return [
            share
            for share, client_id in enumerate(self._shares)
            if client_id in clients and clients[client_id].state != "missing"
        ]

    def _show(self) -> None:
        now_s = self._clock.now()
        running = step_at(self._placed, now_s)
        waiting = "the last answers" if now_s >= self._placed[-1].ends_s else "getting ready"
        left_s = self._placed[-1].ends_s - now_s if self._programme.foreseen else None
        self._progress.show(
            now_s, running.step.name if running else waiting, left_s, self._collector.recent.show(now_s)
        )

    def _told(self, placed: Sequence[PlacedStep], why: str) -> str:
        names = ", ".join(one.step.name for one in placed if one.step.counts)
        records = [record for one in placed for record in self._collector.measured.get(one.index, ())]
        answered = sum(record.answered for record in records)
        return f"{names} ({why}): {answered} of {len(records)} answered"

    def _conclude(self) -> None:
        """Waits for the last records, and writes the facts."""
        if self._concluded:
            return
        self._concluded = True
        self._tell(FINISH, {})
        ended_s = self._clock.now()
        if self._placed:
            self._wait_for_answers(self._placed[-1].index)
        self._tell(END, {})
        until = time.monotonic() + _AWAY_S
        while time.monotonic() < until and not set(self._present()) <= self._collector.ended:
            gevent.sleep(_LOOK_S / 5)
        self._collector.close()
        if away := len(self._shares) - len(self._present()):
            self._fault = self._fault or (
                f"{away} of {len(self._shares)} workers went away; what they had to send was not sent"
            )
            self._progress.say(self._fault)
        if self._collector.overrun:
            self._progress.say(
                f"generator overrun: {self._collector.overrun} requests were due and not sent, as max_under_way were "
                "unanswered or the generator was behind; what was measured is not the load that was asked for"
            )
        self._facts(ended_s).write(self._run.folder)

    def _facts(self, ended_s: float) -> RunFacts:
        results = set(self._programme.results(self._placed))
        measured = self._collector.measured
        findings = () if self._cut_short else self._programme.findings(self._placed, measured)
        return RunFacts(
            scenario=self._run.document,
            name=self._run.name,
            title=self._run.scenario.title,
            models=self._run.scenario.models,
            started_at=self._started_at,
            ended_s=ended_s,
            warm_up_s=_warm_up_s(self._placed),
            steps=tuple(
                _step_facts(one, ended_s, counts=one.index in results) for one in self._placed if one.begins_s < ended_s
            ),
            workers=len(self._shares),
            seeds=(self._run.scenario.load.seed,) * len(self._shares),
            url=self._run.access.url,
            cut_short=self._cut_short,
            fault=self._fault,
            overrun=self._collector.overrun,
            findings=findings,
        )


def _warm_up_s(placed: Sequence[PlacedStep]) -> float:
    return next((one.begins_s for one in placed if one.step.counts), placed[-1].ends_s if placed else 0.0)


def _step_facts(placed: PlacedStep, ended_s: float, *, counts: bool) -> StepFacts:
    return dataclasses.replace(placed.facts(ended_s), counts=counts)
