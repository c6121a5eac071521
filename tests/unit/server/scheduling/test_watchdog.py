"""Instances that hang are given up and replaced; whatever happens to a thread, every request is answered once."""

import concurrent.futures
import threading
from concurrent.futures import Future

import numpy as np
import pytest

from pasarela_server.backends.outputs import OutputCheck
from pasarela_server.errors import BackendFailure, ModelSuspended, OutOfMemory
from pasarela_server.scheduling.cores import CoreBudget
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.scheduler import Rescue, Scheduler
from pasarela_server.scheduling.watchdog import Watchdog
from pasarela_server.tensor import DataType, TensorSpec

LIMIT_S = 5.0
ONE = {"x": np.ones((1, 2), np.float32)}


class Session:
    """Hangs where its gate is shut; says when somebody is inside."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.gate = threading.Event()
        self.inside = threading.Event()
        if not hangs:
            self.gate.set()

    def infer(self, inputs):
        self.inside.set()
        assert self.gate.wait(60)
        return {"y": inputs["x"] + 1}


class Watched:
    """A scheduler, a clock that stands still, and the sessions that its backend gives."""

    def __init__(self, *sessions: Session, spare: list[Session] | None = None, **settings) -> None:
        self.now_s = 0.0
        self.changes: list[str] = []
        self.spare = [] if spare is None else spare
        self.given: list[Session] = [*sessions]
        rescue = Rescue(LIMIT_S, self.another, lambda: self.changes.append(self.scheduler.impediment))
        self.scheduler = Scheduler("m", sessions, BatchingPolicy(), clock=lambda: self.now_s, rescue=rescue, **settings)
        for instance in self.scheduler._instances:
            instance.start()

    def another(self) -> Session:
        session = self.spare.pop(0)
        self.given.append(session)
        return session

    def submit(self) -> Future:
        return self.scheduler.submit(ONE, 1)

    def close(self) -> None:
        for session in self.given:
            session.gate.set()
        self.scheduler.stop(drain=True)


@pytest.fixture
def watched():
    made: list[Watched] = []

    def make(*sessions: Session, **settings) -> Watched:
        made.append(Watched(*sessions, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_takes_its_time_is_left_alone(watched):
    session = Session(hangs=True)
    model = watched(session)
    answer = model.submit()
    assert session.inside.wait(60)
    model.now_s = LIMIT_S
    model.scheduler.look()
    session.gate.set()
    assert answer.result(60).outputs["y"].tolist() == [[2, 2]]


def test_what_hangs_fails_and_another_instance_takes_its_place(watched):
    stuck, fresh = Session(hangs=True), Session()
    model = watched(stuck, spare=[fresh])
    hung, waits = model.submit(), model.submit()
    assert stuck.inside.wait(60)
    model.now_s = LIMIT_S + 1
    model.scheduler.look()
    with pytest.raises(BackendFailure, match="model 'm': an inference took longer than 5 s"):
        hung.result(60)
    assert waits.result(60).outputs["y"].tolist() == [[2, 2]]
    assert fresh.inside.is_set()
    stuck.gate.set()  # its answer comes too late for everybody
    assert model.submit().result(60).outputs["y"].tolist() == [[2, 2]]
    assert model.scheduler.impediment == ""
    assert model.changes == []


def test_the_cores_of_what_hangs_are_free_for_others_and_given_back_once(watched):
    budget = CoreBudget(1)
    stuck = Session(hangs=True)
    model = watched(stuck, spare=[Session()], cores=budget.share(1))
    hung = model.submit()
    assert stuck.inside.wait(60)
    model.now_s = LIMIT_S + 1
    model.scheduler.look()
    assert isinstance(hung.exception(60), BackendFailure)
    assert model.submit().result(60)
    stuck.gate.set()
    model.close()
    assert budget.try_acquire(1)
    assert not budget.try_acquire(1)


def test_without_a_replacement_the_model_says_so_until_the_instance_comes_back(watched):
    stuck = Session(hangs=True)
    model = watched(stuck)
    hung, waits = model.submit(), model.submit()
    assert stuck.inside.wait(60)
    model.now_s = LIMIT_S + 1
    model.scheduler.look()
    assert isinstance(hung.exception(60), BackendFailure)
    assert isinstance(waits.exception(60), ModelSuspended)
    assert "all of its instances hang" in model.scheduler.impediment
    with pytest.raises(ModelSuspended, match="all of its instances hang"):
        model.submit()
    back = threading.Event()
    model.scheduler._rescue = Rescue(LIMIT_S, model.another, back.set)
    stuck.gate.set()
    assert back.wait(60)
    assert model.scheduler.impediment == ""
    assert model.submit().result(60).outputs["y"].tolist() == [[2, 2]]


def test_what_comes_in_the_moment_in_which_the_last_instance_is_given_up_is_told(watched, monkeypatch):
    stuck = Session(hangs=True)
    model = watched(stuck)
    model.submit()
    assert stuck.inside.wait(60)
    submit = model.scheduler._batcher.submit

    def late(entry):
        model.now_s = LIMIT_S + 1
        model.scheduler.look()
        submit(entry)

    monkeypatch.setattr(model.scheduler._batcher, "submit", late)
    assert isinstance(model.submit().exception(60), ModelSuspended)


def test_one_of_two_that_hangs_for_good_leaves_the_other(watched):
    sessions = [Session(hangs=True), Session(hangs=True)]
    model = watched(*sessions)
    answers = [model.submit(), model.submit()]
    for session in sessions:
        assert session.inside.wait(60)
    sessions[1].gate.set()
    (done,), (hung,) = concurrent.futures.wait(answers, 60, concurrent.futures.FIRST_COMPLETED)
    assert done.result(60)
    model.now_s = LIMIT_S + 1
    model.scheduler.look()
    assert isinstance(hung.exception(60), BackendFailure)
    assert model.scheduler.impediment == ""
    assert model.submit().result(60)


def test_a_model_that_always_hangs_is_not_replaced_for_ever(watched):
    many = [Session(hangs=True) for _ in range(20)]
    model = watched(many[0], spare=many[1:])
    for session in many:
        if model.scheduler.impediment:
            break
        hung = model.submit()
        assert session.inside.wait(60)
        model.now_s += LIMIT_S + 1
        model.scheduler.look()
        assert isinstance(hung.exception(60), BackendFailure)
    assert "hang" in model.scheduler.impediment
    assert len(model.given) < 10


def test_stopping_does_not_wait_for_what_hangs(watched):
    stuck = Session(hangs=True)
    model = watched(stuck)
    hung = model.submit()
    assert stuck.inside.wait(60)
    model.now_s = LIMIT_S + 1
    model.scheduler.look()
    assert isinstance(hung.exception(60), BackendFailure)
    model.scheduler.stop(drain=True)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(SystemExit(1), BackendFailure, id="it wants the process to exit"),
        pytest.param(MemoryError(), OutOfMemory, id="memory runs out"),
        pytest.param(ZeroDivisionError(), BackendFailure, id="a bug"),
        pytest.param(GeneratorExit(), BackendFailure, id="something odd"),
    ],
)
def test_whatever_a_session_raises_its_thread_serves_the_next(error, kind):
    class Raises:
        def infer(self, inputs):
            if inputs["x"][0, 0]:
                raise error
            return {"y": inputs["x"]}

    scheduler = Scheduler("m", [Raises()], BatchingPolicy())
    scheduler.start()
    assert isinstance(scheduler.submit(ONE, 1).exception(60), kind)
    assert scheduler.submit({"x": np.zeros((1, 2), np.float32)}, 1).result(60)
    scheduler.stop()


def test_a_listener_that_fails_costs_the_batch_and_not_the_thread():
    told = []

    def listener(execution):
        told.append(execution)
        if len(told) == 1:
            raise RuntimeError("a bug of ours")

    scheduler = Scheduler("m", [Session()], BatchingPolicy(), on_execution=listener)
    scheduler.start()
    assert isinstance(scheduler.submit(ONE, 1).exception(60), BackendFailure)
    assert scheduler.submit(ONE, 1).result(60)
    scheduler.stop()


def test_answers_that_do_not_fit_fail_every_request_of_the_batch():
    class Short:
        def infer(self, inputs):
            return {"y": inputs["x"][:1]}

    spec = TensorSpec("y", DataType.FP32, (-1, 2))
    scheduler = Scheduler("m", [Short()], BatchingPolicy(max_rows=4), outputs=OutputCheck("m", [spec], batched=True))
    alone = scheduler.submit({"x": np.ones((2, 2), np.float32)}, 2)
    together = [scheduler.submit({"x": np.ones((1, 2), np.float32)}, 1) for _ in range(2)]
    scheduler.start()
    for answer in (alone, *together):
        assert isinstance(answer.exception(60), BackendFailure)
    scheduler.stop()


def test_the_watchdog_looks_until_it_is_stopped_whatever_a_look_raises():
    looks = threading.Semaphore(0)

    def look():
        looks.release()
        raise RuntimeError("once more")

    watchdog = Watchdog("m", 0.05, look)
    watchdog.start()
    for _ in range(3):
        assert looks.acquire(timeout=60)
    watchdog.stop()
    assert not watchdog._thread.is_alive()
