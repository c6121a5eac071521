"""The cores that all models share: never more are busy than there are, none idles that somebody could use."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.scheduling.cores import CoreBudget, Waiter, admit
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.scheduler import Scheduler


@pytest.mark.parametrize(
    ("waiting", "free", "admitted"),
    [
        ([], 2, []),  # reason: nobody waits
        ([(1, 0), (1, 0), (1, 0)], 2, [0, 1]),  # reason: first come, first served
        ([(2, 0), (1, 0)], 2, [0]),  # reason: the first takes all
        ([(2, 0), (1, 0)], 1, [1]),  # reason: a core that the first cannot use alone does not idle
        ([(2, 2), (1, 0)], 1, []),  # reason: the first has been passed often enough: the core waits for it
        ([(2, 1), (1, 0), (1, 0)], 1, [1]),  # reason: once more, and no further
        ([(3, 1), (1, 0), (1, 0)], 2, [1]),  # reason: room for two, yet only one more may pass
        ([(1, 0)], 0, []),  # reason: nothing is free
    ],
)
def test_who_may_go(waiting: list[tuple[int, int]], free: int, admitted: list[int]) -> None:
    waiters = [Waiter(cores, passed_by) for cores, passed_by in waiting]
    assert admit(waiters, free, patience=2) == [waiters[place] for place in admitted]


@given(st.lists(st.integers(1, 4), max_size=8), st.integers(0, 4), st.integers(1, 4))
def test_no_more_go_than_fit_and_the_first_goes_if_it_fits(cores: list[int], free: int, patience: int) -> None:
    waiters = [Waiter(count) for count in cores]
    admitted = admit(waiters, free, patience)
    assert sum(waiter.cores for waiter in admitted) <= free
    if waiters and waiters[0].cores <= free:
        assert admitted[0] is waiters[0]
    if admitted == [] and free:
        assert all(waiter.cores > free for waiter in waiters)


class Counting:
    """A session that notes how many of its kind compute at once, and lets the others come while it does."""

    lock = threading.Lock()

    def __init__(self, cores: int, busy: list[int], seen: list[int]) -> None:
        self.cores, self.busy, self.seen = cores, busy, seen

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self.lock:
            self.busy[0] += self.cores
            self.seen.append(self.busy[0])
        np.sort(np.random.default_rng(0).random(20_000))
        with self.lock:
            self.busy[0] -= self.cores
        return {"y": inputs["x"] + 1}


@pytest.mark.parametrize(
    ("cores", "models"),
    [
        (1, [(1, 1), (1, 1)]),  # reason: one core, two models
        (2, [(2, 1), (2, 1), (2, 1)]),  # reason: each planned for both cores with an instance a core
        (2, [(1, 2), (2, 1), (4, 1)]),  # reason: one with two threads, one with more instances than cores
        (3, [(1, 5), (3, 1)]),  # reason: more threads than cores: all of them, and no more
    ],
)
def test_models_under_load_keep_no_more_cores_busy_than_there_are(cores: int, models: list[tuple[int, int]]) -> None:
    budget, busy, seen = CoreBudget(cores), [0], []
    schedulers = [
        Scheduler(
            f"m{number}",
            [Counting(min(threads, cores), busy, seen) for _ in range(instances)],
            BatchingPolicy(max_rows=1, merge=False),
            cores=budget.share(threads),
        )
        for number, (instances, threads) in enumerate(models)
    ]
    for scheduler in schedulers:
        scheduler.start()
    answers: list[Future] = []
    for round_ in range(20):
        answers += [scheduler.submit({"x": np.array([[round_]])}, 1) for scheduler in schedulers]
    assert [int(answer.result(60).outputs["y"][0, 0]) - 1 for answer in answers] == [
        round_ for round_ in range(20) for _ in models
    ]
    for scheduler in schedulers:
        scheduler.stop()
    assert len(seen) == 20 * len(models)
    assert max(seen) <= cores
    assert busy == [0]


def test_cores_come_back_from_an_execution_that_failed() -> None:
    share = CoreBudget(1).share(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), share:
            raise ZeroDivisionError
    with share:
        pass


def test_who_waits_goes_when_the_cores_are_given_back() -> None:
    budget = CoreBudget(2)
    budget.acquire(1)
    budget.acquire(1)
    went = threading.Event()
    waiting = threading.Thread(target=lambda: (budget.acquire(2), went.set()))
    waiting.start()
    budget.release(1)
    assert not went.is_set()
    budget.release(1)
    assert went.wait(30)
    waiting.join()
