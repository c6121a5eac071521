"""Who is decoded when: only so far ahead as the model needs, the urgent first, and nobody for nothing."""

from concurrent.futures import Future
from typing import Any

import pytest

from pasarela_server.errors import DeadlineExpired, QueueFull, QueueTimeout, ServerStopping, ServingError
from pasarela_server.repository.image_line import ImageLine
from pasarela_server.scheduling.estimate import Span
from pasarela_server.scheduling.occupancy import Outlook
from pasarela_server.scheduling.queue import QueuePolicy

EXECUTION_S = 1.0


class Image:
    """Work that notes what becomes of it."""

    def __init__(self) -> None:
        self.begun = False
        self._done: Future[Any] = Future()

    @property
    def done(self) -> Future[Any]:
        return self._done

    def begin(self) -> None:
        self.begun = True

    def refuse(self, error: ServingError) -> None:
        self._done.set_exception(error)


class Line:
    """A line over a model with one instance, which nobody else uses, and a clock that the test turns."""

    def __init__(self, places: int = 2, decoders: int = 1, *levels: QueuePolicy) -> None:
        self.now_s = 0.0
        self.asked: list[tuple[int, int]] = []
        policies = levels or (QueuePolicy(),)
        self.line = ImageLine("raw", policies, len(policies), places, decoders, self._outlook, lambda: self.now_s)

    def _outlook(self, priority: int, ahead: int) -> Outlook:
        self.asked.append((priority, ahead))
        return Outlook(ahead * EXECUTION_S, Span(EXECUTION_S, EXECUTION_S))

    def enter(self, deadline_s: float | None = None, priority: int = 0, most: int = 256) -> tuple[int, Image]:
        image, number = Image(), self.line.number()
        self.line.enter(number, image, "garments", deadline_s, priority, most)
        return number, image

    def learn(self, seconds: float) -> None:
        """Images that took so long to prepare, and as long to finish."""
        for _ in range(4):
            number, image = self.enter()
            self.line.prepared(number, seconds)
            self.line.finished(seconds)
            image.done.set_result(None)


def test_only_so_many_are_decoded_ahead() -> None:
    line = Line(2)
    images = [line.enter()[1] for _ in range(4)]
    assert [image.begun for image in images] == [True, True, False, False]
    assert len(line.line) == 2
    images[1].done.set_result(None)
    assert [image.begun for image in images] == [True, True, True, False]
    images[0].done.set_exception(ValueError("no image"))
    assert [image.begun for image in images] == [True] * 4
    assert len(line.line) == 0


def test_the_urgent_are_decoded_first() -> None:
    line = Line(1, 1, QueuePolicy(), QueuePolicy())
    first, late, soon = (line.enter(priority=priority)[1] for priority in (0, 2, 1))
    first.done.set_result(None)
    assert (soon.begun, late.begun) == (True, False)


def test_who_goes_away_makes_room_at_once() -> None:
    line = Line(1)
    line.enter()
    _, gone = line.enter(most=1)
    with pytest.raises(QueueFull, match="'garments': 1 images wait already"):
        line.enter(most=1)
    gone.done.cancel()
    assert len(line.line) == 0
    line.enter(most=1)


def test_a_level_that_is_full_refuses() -> None:
    line = Line(1, 1, QueuePolicy(max_requests=1), QueuePolicy(max_requests=5))
    for _ in range(2):
        line.enter(priority=1)
    with pytest.raises(QueueFull, match="1 images wait already"):
        line.enter(priority=1)
    line.enter(priority=2)


def test_a_queue_policy_that_refuses_holds_for_images_too() -> None:
    line = Line(1, 1, QueuePolicy(timeout_s=5.0))
    _, first = line.enter()
    _, late = line.enter()
    line.now_s = 5.0
    first.done.set_result(None)
    assert isinstance(late.done.exception(0), QueueTimeout)
    assert not late.begun


def test_without_history_only_a_deadline_that_has_passed_is_refused() -> None:
    line = Line()
    with pytest.raises(DeadlineExpired, match="'garments': the deadline passed before the image was decoded"):
        line.enter(deadline_s=0.0)
    line.enter(deadline_s=EXECUTION_S)


def test_what_comes_before_an_image_counts_against_its_deadline() -> None:
    line = Line(places=2)
    line.learn(0.25)
    with pytest.raises(DeadlineExpired, match=r"1400\.0 ms are left.* 1500\.0 ms, 0\.0 ms of it behind others"):
        line.enter(deadline_s=1.4)
    number, _ = line.enter(deadline_s=1.5)
    line.line.prepared(number, 0.25)
    line.enter()
    assert line.asked[-1] == (0, 0), "the model's queue knows the one that was prepared"
    # One is being decoded and not in the model's queue yet. The newcomer is decoded while that one is executed.
    with pytest.raises(DeadlineExpired, match=r"2700\.0 ms, 750\.0 ms of it behind others"):
        line.enter(deadline_s=2.69)
    assert line.asked[-1] == (0, 1)
    line.enter(deadline_s=2.71)


def test_decoders_that_are_slower_than_the_model_count() -> None:
    line = Line(places=2, decoders=2)
    line.learn(8.0)
    for _ in range(4):
        line.enter()
    with pytest.raises(DeadlineExpired, match=r"16000\.0 ms of it behind others"):
        line.enter(deadline_s=20.0)


def test_who_can_no_longer_make_it_is_not_decoded() -> None:
    line = Line(places=1)
    line.learn(0.25)
    _, first = line.enter()
    _, late = line.enter(deadline_s=2.75)
    _, patient = line.enter()
    line.now_s = 1.5  # an execution, a preparation and the end of it take a second and a half
    first.done.set_result(None)
    assert isinstance(late.done.exception(0), DeadlineExpired)
    assert not late.begun
    assert patient.begun


def test_the_model_has_to_answer_before_the_deadline() -> None:
    line = Line()
    assert line.line.answer_by_s(10.0) == 10.0
    line.learn(0.25)
    assert line.line.answer_by_s(10.0) == 9.75
    assert line.line.answer_by_s(None) is None


def test_a_closed_line_refuses_what_waits_and_what_comes() -> None:
    line = Line(places=1)
    _, under_way = line.enter()
    _, waiting = line.enter()
    line.line.close()
    assert isinstance(waiting.done.exception(0), ServerStopping)
    assert not under_way.done.done()
    with pytest.raises(ServerStopping, match="'raw' is being unloaded"):
        line.enter()
