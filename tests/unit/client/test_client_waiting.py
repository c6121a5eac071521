"""Nobody waits without a limit: a signal that comes just before would not be heard."""

import threading

import pytest

from pasarela_client import waiting
from pasarela_client.sync.concurrency import Condition


class Impatient:
    """What stands for a thread, an event or a condition, and comes about when it was looked at for the third time."""

    def __init__(self) -> None:
        self.stretches: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.stretches.append(timeout)
        return len(self.stretches) == 3

    def wait_for(self, holds: object, timeout: float | None = None) -> bool:
        return self.wait(timeout)

    join = wait

    def is_alive(self) -> bool:
        return len(self.stretches) < 3


@pytest.mark.parametrize(
    "wait",
    [
        waiting.join,  # reason: threads
        waiting.wait_set,  # reason: events
        lambda condition: waiting.wait_until(condition, bool),  # reason: conditions
    ],
)
def test_whoever_waits_for_good_looks_up_now_and_then(wait) -> None:
    awaited = Impatient()
    wait(awaited)
    assert awaited.stretches == [waiting.LOOK_S] * 3


def test_a_wait_without_limit_looks_up_and_says_that_its_time_was_not_up(monkeypatch) -> None:
    monkeypatch.setattr("pasarela_client.sync.concurrency.LOOK_S", 0.001)
    condition = Condition()
    with condition:
        assert condition.wait()
        assert not condition.wait(0.001)


def test_what_is_there_already_is_not_waited_for() -> None:
    event, lock = threading.Event(), threading.Condition()
    event.set()
    waiting.wait_set(event)
    with lock:
        waiting.wait_until(lock, lambda: True)
    ended = threading.Thread(target=bool)
    ended.start()
    waiting.join(ended)
    assert not ended.is_alive()
