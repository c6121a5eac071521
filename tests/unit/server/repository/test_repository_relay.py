"""Work that passes between pool and scheduler is resolved exactly once, whatever happens on the way."""

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest

from pasarela_server.errors import BackendFailure, QueueFull, RequestCancelled
from pasarela_server.repository.relay import Relay
from pasarela_server.request import Timings
from pasarela_server.scheduling.batch import BatchAnswer

ANSWER = BatchAnswer({"y": np.array([3])}, Timings())


class StepByStep(Executor):
    """A pool whose work the test runs, one piece at a time, on its own thread."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()

    def step(self) -> None:
        self.waiting.pop(0)()


class Route:
    """A relay whose steps note that they ran."""

    def __init__(self, **changes: Callable[..., Any]) -> None:
        self.log: list[str] = []
        self.pool = StepByStep()
        self.answer: Future[BatchAnswer] = Future()
        steps: dict[str, Callable[..., Any]] = {
            "prepare": lambda ahead: self.log.append("prepare") or (ahead or 20),  # type: ignore[func-returns-value]
            "submit": lambda prepared: self.log.append("submit") or self.answer,  # type: ignore[func-returns-value]
            "finish": lambda prepared, answer, answered_ns: prepared + int(answer.outputs["y"][0]),
        } | changes
        relay: Relay[int, int, int] = Relay(self.pool, **steps)
        self.done = relay.done
        relay.begin()

    def answered(self, error: Exception | None = None) -> None:
        assert self.answer.set_running_or_notify_cancel()
        if error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(ANSWER)


def failing(error: Exception) -> Callable[..., Any]:
    def step(*_: object) -> Any:
        raise error

    return step


def test_all_steps_lead_to_the_result() -> None:
    route = Route()
    route.pool.step()
    assert route.log == ["prepare", "submit"]
    route.answered()
    route.pool.step()
    assert route.done.result(0) == 23


def test_cancelled_before_it_began_it_costs_nothing() -> None:
    route = Route()
    assert route.done.cancel()
    route.pool.step()
    assert route.log == []


def test_refused_before_it_began_it_says_why() -> None:
    relay: Relay[int, int, int] = Relay(
        StepByStep(), failing(AssertionError()), failing(AssertionError()), failing(OSError())
    )
    relay.refuse(QueueFull("full"))
    assert isinstance(relay.done.exception(0), QueueFull)


def test_cancelled_while_it_waits_it_is_dropped_from_the_scheduler() -> None:
    route = Route()
    route.pool.step()
    assert route.done.cancel()
    assert route.answer.cancelled()
    assert not route.pool.waiting


def test_cancelled_while_it_is_executed_its_answer_is_thrown_away() -> None:
    route = Route()
    route.pool.step()
    assert route.answer.set_running_or_notify_cancel()
    assert route.done.cancel()
    route.answer.set_result(ANSWER)
    route.pool.step()
    assert route.done.cancelled()


def test_cancelled_during_the_last_step_nothing_breaks() -> None:
    route = Route(finish=lambda prepared, answer, answered_ns: route.done.cancel())
    route.pool.step()
    route.answered()
    route.pool.step()
    assert route.done.cancelled()


class RouteAhead(Route):
    """A relay a part of whose first step somebody else does."""

    def __init__(self) -> None:
        self.ahead: Future[int | None] = Future()
        super().__init__(ahead=lambda: self.log.append("ahead") or self.ahead)  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("done_ahead", "expected"),
    [
        (40, 43),  # reason: the first step goes on from it
        (None, 23),  # reason: it could not be done, and the first step does all
    ],
)
def test_the_first_step_goes_on_from_what_was_done_ahead(done_ahead: int | None, expected: int) -> None:
    route = RouteAhead()
    route.pool.step()
    assert (route.log, route.pool.waiting) == (["ahead"], [])
    assert route.ahead.set_running_or_notify_cancel()
    route.ahead.set_result(done_ahead)
    route.pool.step()
    assert route.log == ["ahead", "prepare", "submit"]
    route.answered()
    route.pool.step()
    assert route.done.result(0) == expected


def test_where_nobody_does_anything_ahead_the_first_step_follows_at_once() -> None:
    route = Route(ahead=lambda: None)
    route.pool.step()
    assert route.log == ["prepare", "submit"]


def test_cancelled_while_somebody_else_works_it_is_dropped_there() -> None:
    route = RouteAhead()
    route.pool.step()
    assert route.done.cancel()
    assert route.ahead.cancelled()
    assert not route.pool.waiting


def test_cancelled_while_somebody_else_is_at_it_nothing_follows() -> None:
    route = RouteAhead()
    route.pool.step()
    assert route.ahead.set_running_or_notify_cancel()
    assert route.done.cancel()
    route.ahead.set_result(40)
    route.pool.step()
    assert route.log == ["ahead"]
    assert route.done.cancelled()


def test_what_fails_ahead_reaches_whoever_waits() -> None:
    route = RouteAhead()
    route.pool.step()
    assert route.ahead.set_running_or_notify_cancel()
    route.ahead.set_exception(BackendFailure("broke"))
    assert isinstance(route.done.exception(0), BackendFailure)
    assert route.log == ["ahead"]


def test_given_up_ahead_it_does_not_hang() -> None:
    route = RouteAhead()
    route.pool.step()
    assert route.ahead.cancel()
    assert isinstance(route.done.exception(0), RequestCancelled)


@pytest.mark.parametrize(
    ("changes", "answer_error", "expected"),
    [
        pytest.param({"ahead": failing(ValueError("bad image"))}, None, ValueError, id="what is done ahead fails"),
        pytest.param({"prepare": failing(ValueError("bad image"))}, None, ValueError, id="the first step fails"),
        pytest.param({"submit": failing(QueueFull("full"))}, None, QueueFull, id="the scheduler refuses"),
        pytest.param({}, BackendFailure("broke"), BackendFailure, id="the model fails"),
        pytest.param({"finish": failing(KeyError("output"))}, None, KeyError, id="the last step fails"),
    ],
)
def test_a_failure_reaches_whoever_waits(
    changes: dict[str, Callable[..., Any]], answer_error: Exception | None, expected: type[Exception]
) -> None:
    route = Route(**changes)
    route.pool.step()
    if "submit" in route.log:
        route.answered(answer_error)
    while route.pool.waiting:
        route.pool.step()
    assert isinstance(route.done.exception(0), expected)


def test_a_pool_that_was_shut_down_in_between_is_a_failure_and_no_hang() -> None:
    route = Route()
    route.pool.step()
    route.pool.submit = failing(RuntimeError("cannot schedule new futures after shutdown"))  # type: ignore[method-assign]
    route.answered()
    assert isinstance(route.done.exception(0), RuntimeError)


def test_a_pool_that_was_shut_down_before_is_a_failure_and_no_hang() -> None:
    pool = StepByStep()
    pool.submit = failing(RuntimeError("cannot schedule new futures after shutdown"))  # type: ignore[method-assign]
    relay: Relay[int, int, int] = Relay(pool, failing(AssertionError()), failing(AssertionError()), failing(OSError()))
    relay.begin()
    assert isinstance(relay.done.exception(0), RuntimeError)


def test_what_was_prepared_goes_with_the_request() -> None:
    class Image:
        """Stands for pixels."""

    images: list[weakref.ref[Image]] = []

    def prepare(_: None) -> Image:
        image = Image()
        images.append(weakref.ref(image))
        return image

    route = Route(prepare=prepare, submit=lambda _: route.answer, finish=lambda *_: 1)
    gc.disable()
    try:
        route.pool.step()
        route.answered()
        route.pool.step()
        assert route.done.result(0) == 1
        assert images[0]() is None
    finally:
        gc.enable()
