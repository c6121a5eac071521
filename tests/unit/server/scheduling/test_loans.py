"""What takes no longer than a change of threads is executed on the thread that asks, if an instance is idle."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from pasarela_server.errors import BackendFailure, DeadlineExpired, InvalidRequest, ServerStopping
from pasarela_server.scheduling.batch import BatchAnswer
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.scheduler import Scheduler, Small
from pasarela_server.tensor import Array

SECONDS = 30
ANY = Small(most_bytes=1024, least_s=math.inf, likely_s=math.inf)


@dataclass
class Doubling:
    """Answers y = 2 x, notes on which thread; never used by two threads at once."""

    threads: list[int] = field(default_factory=list)
    busy: threading.Lock = field(default_factory=threading.Lock)

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        assert self.busy.acquire(blocking=False), "two threads in one session"
        try:
            self.threads.append(threading.get_ident())
            if inputs["x"].dtype.kind == "b":
                raise ArithmeticError("no number")
            return {"y": inputs["x"] * 2}
        finally:
            self.busy.release()


def ones(count: int = 1) -> dict[str, Array]:
    return {"x": np.ones((1, count))}


@contextmanager
def running(
    sessions: int = 1,
    *,
    small: Small | None = ANY,
    policy: BatchingPolicy | None = None,
    in_order: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[Scheduler, list[Doubling]]]:
    used = [Doubling() for _ in range(sessions)]
    scheduler = Scheduler("m", used, policy or BatchingPolicy(max_rows=4), small=small, in_order=in_order, clock=clock)
    scheduler.start()
    try:
        yield scheduler, used
    finally:
        scheduler.stop()


def ask(scheduler: Scheduler, inputs: Mapping[str, Array], deadline_monotonic_s: float | None = None) -> BatchAnswer:
    """As a servable does: here if it can be, and else by an instance."""
    answer = scheduler.answer_here(inputs, 1, deadline_monotonic_s)
    return scheduler.submit(inputs, 1, deadline_monotonic_s).result(SECONDS) if answer is None else answer


def computed_here(
    scheduler: Scheduler, sessions: list[Doubling], inputs: dict[str, Array] | None = None, tries: int = 5000
) -> bool:
    """Whether one of many requests, each after the answer to the last, is executed on this thread."""
    for _ in range(tries):
        ask(scheduler, inputs or ones())
        if any(threading.get_ident() in session.threads for session in sessions):
            return True
    return False


def test_a_small_request_is_computed_on_the_thread_that_asks_and_counts_as_the_instances() -> None:
    with running() as (scheduler, sessions):
        assert computed_here(scheduler, sessions)
        answer = scheduler.answer_here(ones(), 1)
        assert answer is not None
        assert answer.outputs["y"].tolist() == [[2.0]]
        assert (answer.timings.instance, answer.timings.batch_size, answer.timings.close_reason) == (0, 1, "idle")


@pytest.mark.parametrize(
    ("reason", "small", "policy", "in_order", "count"),
    [
        ("nobody asked for it", None, BatchingPolicy(max_rows=4), False, 1),
        ("its inputs are larger than what was measured", ANY, BatchingPolicy(max_rows=4), False, 1024),
        ("it takes too long", Small(least_s=0.0, likely_s=math.inf), BatchingPolicy(max_rows=4), False, 1),
        ("its answer must not overtake others", ANY, BatchingPolicy(max_rows=4), True, 1),
        ("it may wait for others", ANY, BatchingPolicy(max_rows=4, max_queue_delay_s=0.02), False, 1),
    ],
)
def test_what_is_left_to_the_instances(
    reason: str,
    small: Small | None,
    policy: BatchingPolicy,
    in_order: bool,
    count: int,
) -> None:
    with running(small=small, policy=policy, in_order=in_order) as (scheduler, sessions):
        assert not computed_here(scheduler, sessions, ones(count), tries=50), reason


def test_loans_that_take_long_are_not_given_again() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1e-6 if threading.current_thread() is not threading.main_thread() else 0.05
        return now[0]

    with running(small=Small(least_s=math.inf, likely_s=0.02), clock=clock) as (scheduler, (session,)):
        for _ in range(5000):
            ask(scheduler, ones())
            if session.threads.count(threading.get_ident()) == 4:
                break
        here = session.threads.count(threading.get_ident())
        for _ in range(4):
            ask(scheduler, ones())
        assert here == 4, "so many samples make an estimate"
        assert session.threads.count(threading.get_ident()) == here


def test_failures_reach_the_one_who_asked() -> None:
    with running() as (scheduler, sessions):
        assert computed_here(scheduler, sessions)
        with pytest.raises(BackendFailure):
            scheduler.answer_here({"x": np.zeros((1, 1), bool)}, 1)
        with pytest.raises(DeadlineExpired):
            ask(scheduler, ones(), time.monotonic() - 1)
        assert ask(scheduler, ones()).outputs["y"].tolist() == [[2.0]]


def test_what_is_no_request_is_left_to_the_door() -> None:
    with running() as (scheduler, sessions):
        assert computed_here(scheduler, sessions)
        rows = {"x": np.ones((5, 1))}
        assert scheduler.answer_here(rows, 5) is None
        with pytest.raises(InvalidRequest, match="at most 4 rows"):
            scheduler.submit(rows, 5)


def test_a_stopped_scheduler_lends_nothing() -> None:
    with running() as (scheduler, sessions):
        assert computed_here(scheduler, sessions)
        scheduler.stop()
        with pytest.raises(ServerStopping):
            ask(scheduler, ones())


@pytest.mark.parametrize("sessions", [1, 3])
def test_many_threads_that_ask_both_ways_get_their_own_answers(sessions: int) -> None:
    with running(sessions) as (scheduler, used), ThreadPoolExecutor(8) as pool:

        def ask_often(number: int) -> None:
            for turn in range(200):
                value = number * 1000 + turn
                inputs = {"x": np.array([[float(value)]])}
                here = (number + turn) % 2
                answer = ask(scheduler, inputs) if here else scheduler.submit(inputs, 1).result(SECONDS)
                assert answer.outputs["y"].tolist() == [[2.0 * value]]

        for done in [pool.submit(ask_often, number) for number in range(8)]:
            done.result(SECONDS)
        assert scheduler.waiting == 0
    assert sum(len(session.threads) for session in used) <= 1600
