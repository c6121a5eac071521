"""When what is done again and again is done."""

from __future__ import annotations

import itertools

from pasarela_client.commands.ticks import ticks


class HandClock:
    """A clock that only moves when somebody waits, or says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


def times(count: int | None, work_s: list[float], every_s: float = 2.0) -> list[float]:
    clock = HandClock()
    found = []
    for number, took_s in zip(ticks(every_s, count, clock=lambda: clock.now_s, wait=clock.wait), work_s, strict=False):
        assert number == len(found) + 1
        found.append(clock.now_s - 100)
        clock.now_s += took_s
    return found


def test_a_turn_that_takes_its_time_does_not_delay_the_next() -> None:
    assert times(3, [0.5, 1.5, 0.0, 0.0]) == [2, 4, 6]


def test_what_was_missed_is_not_made_up_for() -> None:
    assert times(None, [9.0, 0.5, 0.5, 0.0]) == [2, 11, 13, 15]


def test_without_a_count_it_does_not_end() -> None:
    endless = ticks(1.0, None, clock=lambda: 0.0, wait=lambda _: None)
    assert list(itertools.islice(endless, 4)) == [1, 2, 3, 4]
