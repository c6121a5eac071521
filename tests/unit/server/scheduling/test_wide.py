"""A single client gets all cores; several get an instance each."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from pasarela_server.scheduling.batch import Batch, Entry
from pasarela_server.scheduling.cores import CoreBudget
from pasarela_server.scheduling.policy import BatchingPolicy, CloseReason, Waiting
from pasarela_server.scheduling.scheduler import Scheduler
from pasarela_server.scheduling.wide import LONELY, goes_wide
from pasarela_server.tensor import Array

SECONDS = 30


@dataclass
class Recording:
    """Answers y = x; notes how it was asked, and how many cores were free meanwhile."""

    budget: CoreBudget
    wide_threads: int = 2
    asked: list[tuple[str, bool]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._answer("narrow", inputs)

    def infer_wide(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._answer("wide", inputs)

    def _answer(self, how: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        one_is_free = self.budget.try_acquire(1)
        if one_is_free:
            self.budget.release(1)
        self.asked.append((how, one_is_free))
        assert self.gate.wait(SECONDS)
        return {"y": inputs["x"]}


@contextmanager
def running(budget: CoreBudget, *, wide_threads: int = 2, lend: bool = True) -> Iterator[tuple[Scheduler, Recording]]:
    session = Recording(budget, wide_threads)
    session.gate.set()
    scheduler = Scheduler(
        "m",
        [session, session],
        BatchingPolicy(max_rows=4, merge=False),
        cores=budget.share(1),
        budget=budget if lend else None,
    )
    scheduler.start()
    try:
        yield scheduler, session
    finally:
        session.gate.set()
        scheduler.stop()


def ask(scheduler: Scheduler, rows: int = 1) -> None:
    answer = scheduler.submit({"x": np.ones((rows, 1))}, rows).result(SECONDS)
    assert answer.outputs["y"].shape == (rows, 1)


def entry(rows: int) -> Entry:
    return Entry({}, Waiting(rows, None, 0.0))


@pytest.mark.parametrize(
    ("reason", "lonely", "rows", "wide"),
    [
        ("nobody knows yet whether others come", LONELY - 1, 1, False),
        ("so many in a row were alone", LONELY, 1, True),
        ("and so it goes on", LONELY + 100, 1, True),
        ("a batch has enough to do for each core", LONELY, 2, False),
        ("others wait or are executed", 0, 1, False),
    ],
)
def test_what_goes_wide(reason: str, lonely: int, rows: int, wide: bool) -> None:
    assert goes_wide(Batch((entry(rows),), CloseReason.ALONE, 0.0, lonely)) is wide, reason


def _wide_of(session: Recording) -> list[bool]:
    return [how == "wide" for how, _ in session.asked]


def test_who_asks_alone_gets_all_cores_after_a_while() -> None:
    budget = CoreBudget(2)
    with running(budget) as (scheduler, session):
        for _ in range(LONELY + 3):
            ask(scheduler)
        # An instance tells its client before it says that it is free, so one or two more may look like company.
        assert any(_wide_of(session)) or _until_wide(scheduler, session)
        assert all(one_is_free is (how == "narrow") for how, one_is_free in session.asked)
    assert budget.try_acquire(2), "all cores were given back"


def _until_wide(scheduler: Scheduler, session: Recording, tries: int = 2000) -> bool:
    for _ in range(tries):
        ask(scheduler)
        if session.asked[-1][0] == "wide":
            return True
    return False


@pytest.mark.parametrize(
    ("reason", "wide_threads", "cores", "lend", "rows"),
    [
        ("the session has no more cores than one", 1, 2, True, 1),
        ("there is only one core", 2, 1, True, 1),
        ("nobody counts the cores", 2, 2, False, 1),
        ("it is a batch", 2, 2, True, 2),
    ],
)
def test_who_does_not(reason: str, wide_threads: int, cores: int, lend: bool, rows: int) -> None:
    with running(CoreBudget(cores), wide_threads=wide_threads, lend=lend) as (scheduler, session):
        for _ in range(LONELY * 4):
            ask(scheduler, rows)
        assert not any(_wide_of(session)), reason


def test_cores_that_other_models_use_are_not_waited_for() -> None:
    budget = CoreBudget(2)
    with running(budget) as (scheduler, session):
        assert _until_wide(scheduler, session)
        budget.acquire(1)
        before = len(session.asked)
        ask(scheduler)
        assert session.asked[before:] == [("narrow", False)]
        budget.release(1)


def test_company_ends_it() -> None:
    budget = CoreBudget(2)
    with running(budget) as (scheduler, session):
        assert _until_wide(scheduler, session)
        session.gate.clear()
        before = len(session.asked)
        both = [scheduler.submit({"x": np.ones((1, 1))}, 1) for _ in range(2)]
        session.gate.set()
        for answer in both:
            answer.result(SECONDS)
        ask(scheduler)
        assert _wide_of(session)[before + 1 :] == [False, False], "the second of the two, and who comes next"
