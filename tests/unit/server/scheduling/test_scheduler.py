import threading
import time
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.errors import (
    BackendFailure,
    DeadlineExpired,
    InvalidRequest,
    QueueFull,
    ServerStopping,
    ServingError,
)
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.queue import QueuePolicy
from pasarela_server.scheduling.scheduler import Scheduler
from pasarela_server.tensor import Array

SECONDS = 20
"""How long a test waits for an answer before it counts as lost."""


class Doubling:
    """A model that doubles its input, and can be held at a gate to let a queue build up."""

    def __init__(self, *, held: bool = False) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[int] = []
        if not held:
            self.gate.set()

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        self.entered.set()
        assert self.gate.wait(SECONDS)
        self.batches.append(len(inputs["x"]))
        if np.isnan(inputs["x"]).any():
            raise ArithmeticError("secret of the inside")
        return {"y": inputs["x"] * 2}


@pytest.fixture
def held() -> Iterator[tuple[Doubling, Scheduler]]:
    """A scheduler whose only instance is busy with a first request until the gate opens."""
    session = Doubling(held=True)
    scheduler = Scheduler("m", [session], BatchingPolicy(max_rows=8))
    scheduler.start()
    scheduler.submit({"x": np.zeros((1, 1))}, 1)
    assert session.entered.wait(SECONDS)
    yield session, scheduler
    session.gate.set()
    scheduler.stop()


def column(*values: float) -> dict[str, Array]:
    return {"x": np.array(values, np.float64)[:, None]}


def test_requests_that_wait_share_a_batch_and_get_their_own_rows(held: tuple[Doubling, Scheduler]) -> None:
    session, scheduler = held
    first = scheduler.submit(column(1, 2), 2)
    second = scheduler.submit(column(3), 1)
    session.gate.set()
    assert first.result(SECONDS).outputs["y"].ravel().tolist() == [2, 4]
    assert second.result(SECONDS).outputs["y"].ravel().tolist() == [6]
    assert session.batches == [1, 3]
    assert first.result().timings.batch_size == 3
    assert first.result().timings.queue_ns > 0


def test_cancelling_one_request_of_a_batch_leaves_its_mates_their_answers(held: tuple[Doubling, Scheduler]) -> None:
    session, scheduler = held
    answers = [scheduler.submit(column(value), 1) for value in (1, 2, 3)]
    assert answers[1].cancel()
    session.gate.set()
    assert answers[0].result(SECONDS).outputs["y"].ravel().tolist() == [2]
    assert answers[2].result(SECONDS).outputs["y"].ravel().tolist() == [6]
    assert session.batches == [1, 2], "the cancelled request took no slot"


def test_a_failing_batch_fails_each_of_its_requests_and_no_other(
    held: tuple[Doubling, Scheduler], caplog: pytest.LogCaptureFixture
) -> None:
    session, scheduler = held
    poisoned, mate = scheduler.submit(column(np.nan), 1), scheduler.submit(column(1), 1)
    session.gate.set()
    errors = [answer.exception(SECONDS) for answer in (poisoned, mate)]
    assert all(isinstance(error, BackendFailure) for error in errors)
    assert errors[0] is not errors[1]
    assert "secret" not in str(errors[0])
    assert "secret" in caplog.text
    assert scheduler.submit(column(4), 1).result(SECONDS).outputs["y"].ravel().tolist() == [8], "the instance lives on"


def test_other_shapes_are_served_in_batches_of_their_own(held: tuple[Doubling, Scheduler]) -> None:
    session, scheduler = held
    narrow, wide = scheduler.submit(column(1), 1), scheduler.submit({"x": np.ones((1, 3))}, 1)
    session.gate.set()
    assert narrow.result(SECONDS).outputs["y"].shape == (1, 1)
    assert wide.result(SECONDS).outputs["y"].shape == (1, 3)


def test_outputs_that_lost_rows_fail_the_batch() -> None:
    class Losing(Doubling):
        def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
            return {"y": super().infer(inputs)["y"][:1]}

    session = Losing(held=True)
    scheduler = Scheduler("m", [session], BatchingPolicy(max_rows=8))
    answers = [scheduler.submit(column(1), 1), scheduler.submit(column(2), 1)]
    scheduler.start()
    session.gate.set()
    assert all(isinstance(answer.exception(SECONDS), BackendFailure) for answer in answers)
    scheduler.stop()


def test_a_model_without_batch_dimension_gets_its_arrays_as_they_are() -> None:
    class Whole(Doubling):
        def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
            return {"y": inputs["x"].sum(keepdims=False)[None]}

    scheduler = Scheduler("m", [Whole()], BatchingPolicy(), batched=False)
    scheduler.start()
    assert scheduler.submit({"x": np.ones((5, 7))}, 1).result(SECONDS).outputs["y"].tolist() == [35]
    scheduler.stop()


def test_stop_drains_and_then_refuses(held: tuple[Doubling, Scheduler]) -> None:
    session, scheduler = held
    waiting = [scheduler.submit(column(value), 1) for value in range(20)]
    stopper = threading.Thread(target=scheduler.stop)
    stopper.start()
    session.gate.set()
    stopper.join(SECONDS)
    assert not stopper.is_alive()
    assert [answer.result(0).outputs["y"].item() for answer in waiting] == [value * 2 for value in range(20)]
    with pytest.raises(ServerStopping):
        scheduler.submit(column(1), 1)


def test_more_rows_than_a_batch_holds_are_refused(held: tuple[Doubling, Scheduler]) -> None:
    with pytest.raises(InvalidRequest, match=r"at most 8 rows.*has 9"):
        held[1].submit(column(*range(9)), 9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4),
            st.integers(0, 4),
            st.sampled_from(["keep", "cancel", "late", "soon", "poison"]),
            st.integers(1, 2),
        ),
        max_size=30,
    ),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.lists(
        st.builds(QueuePolicy, max_requests=st.integers(1, 40), timeout_s=st.sampled_from([1e-6, 1e-3, 100.0]),
                  delay_on_timeout=st.booleans()),
        min_size=1, max_size=3,
    ),
)  # fmt: skip
def test_every_request_is_answered_exactly_once_with_its_own_rows(
    requests: list[tuple[int, int, str, int]], instances: int, drain: bool, in_order: bool, levels: list[QueuePolicy]
) -> None:
    sessions = [Doubling() for _ in range(instances)]
    scheduler = Scheduler(
        "m", sessions, BatchingPolicy(max_rows=4), levels=levels, default_level=len(levels), in_order=in_order
    )
    scheduler.start()
    answers = []
    told: list[int] = []
    deadlines = {"late": -1.0, "soon": time.monotonic() + 1e-3}
    for number, (rows, priority, fate, width) in enumerate(requests):
        inputs = {"x": np.full((rows, width), np.nan if fate == "poison" else float(number))}
        try:
            answer = scheduler.submit(inputs, rows, deadlines.get(fate), priority)
        except (QueueFull, DeadlineExpired):
            continue
        answer.add_done_callback(lambda done, number=number: None if done.cancelled() else told.append(number))
        if fate == "cancel":
            answer.cancel()
        answers.append((number, inputs["x"], fate, answer))
    scheduler.stop(drain=drain)
    for number, x, fate, answer in answers:
        assert answer.done(), "a waiter was forgotten"
        if answer.cancelled():
            assert fate == "cancel"
        elif (error := answer.exception(0)) is not None:
            assert isinstance(error, ServingError)
        else:
            assert answer.result(0).outputs["y"].shape == x.shape
            assert (answer.result(0).outputs["y"] == 2.0 * number).all()
    assert len(told) == len(set(told))
    assert told == sorted(told) or not in_order


def test_the_most_urgent_are_executed_first(held: tuple[Doubling, Scheduler]) -> None:
    session = Doubling(held=True)
    scheduler = Scheduler("m", [session], BatchingPolicy(), levels=[QueuePolicy()] * 3, default_level=2)
    order: list[float] = []
    for value, priority in ((0, 0), (1, 3), (2, 0), (3, 1), (4, 9), (5, 1)):
        answer = scheduler.submit(column(value), 1, None, priority)
        answer.add_done_callback(lambda done: order.append(done.result().outputs["y"].item() / 2))
    scheduler.start()
    session.gate.set()
    scheduler.stop()

    assert order == [3, 5, 0, 2, 4, 1], "level 1, then the default for 0 and for 9, which does not exist, then level 3"


def test_answers_in_order_wait_for_those_before(held: tuple[Doubling, Scheduler]) -> None:
    slow, quick = Doubling(held=True), Doubling()
    scheduler = Scheduler("m", [slow, quick], BatchingPolicy(), in_order=True)
    scheduler.start()
    answers = [scheduler.submit(column(value), 1) for value in range(4)]
    held_back = [answer for answer in answers if not answer.done()]
    slow.gate.set()
    scheduler.stop()

    assert held_back, "the instance that is slow holds back what the quick one has answered"
    assert [answer.result(SECONDS).outputs["y"].item() for answer in answers] == [0, 2, 4, 6]
