from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client.streaming.backoff import Backoff
from pasarela_client.streaming.pace import Pace
from tests.unit.client.streaming.windows import Clock

WAITS = [
    # failures, chance, wait
    (1, 1.0, 0.1),  # reason: the first wait is the shortest
    (1, 0.0, 0.05),  # reason: chance shortens a wait by no more than half
    (2, 1.0, 0.2),  # reason: it doubles
    (5, 1.0, 1.6),
    (6, 1.0, 2.0),  # reason: no wait is longer
    (10_000, 1.0, 2.0),  # reason: however many tries there were, no number overflows
]


@pytest.mark.parametrize(("failures", "chance", "wait_s"), WAITS)
def test_waits_double_up_to_a_limit(failures: int, chance: float, wait_s: float) -> None:
    assert Backoff(0.1, 2.0, lambda: chance).wait_s(failures) == pytest.approx(wait_s)


def test_one_full_queue_slows_down_once() -> None:
    clock = Clock()
    pace = Pace(8, clock, lambda: 1.0)
    clock.now_s += 1
    for _ in range(8):  # all of them were under way together
        pace.refused(sent_s=100.0)
    assert (pace.limit, pace.pause_s) == (4, pytest.approx(0.05))
    clock.now_s += 0.05
    assert pace.pause_s == 0
    clock.now_s += 0.01
    pace.refused(sent_s=101.05)
    assert (pace.limit, pace.pause_s) == (2, pytest.approx(0.1)), "the second in a row waits longer"


def test_answers_raise_the_limit_slowly() -> None:
    clock = Clock()
    pace = Pace(8, clock, lambda: 1.0)
    pace.refused(sent_s=100.0)
    limits = []
    for _ in range(30):
        pace.answered()
        limits.append(pace.limit)
    assert limits[:5] == [4, 4, 4, 4, 5], "one higher for a limit's worth of answers"
    assert limits[-1] == 8


@given(window=st.integers(1, 64), events=st.lists(st.sampled_from(["refused", "answered"]), max_size=200))
def test_the_limit_is_from_one_to_the_window(window: int, events: list[str]) -> None:
    clock = Clock()
    pace = Pace(window, clock, lambda: 0.0)
    for event in events:
        clock.now_s += 1
        pace.refused(clock.now_s) if event == "refused" else pace.answered()
        assert 1 <= pace.limit <= window
        assert 0 <= pace.pause_s <= 2
