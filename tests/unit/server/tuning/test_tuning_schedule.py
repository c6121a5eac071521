"""How the time is divided."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.tuning.schedule import client_levels, plan_schedule


@pytest.mark.parametrize(
    ("instances", "rows", "most_waiting", "levels", "reason"),
    [
        (1, 1, 256, (1, 2, 4), "a single core"),
        (2, 2, 256, (1, 2, 4, 8), "two"),
        (2, 8, 256, (1, 2, 4, 8, 16), "batches gather behind those that are executed"),
        (2, 128, 1000, (1, 4, 16, 64, 256), "a GPU: not every power of two"),
        (2, 8, 6, (1, 2, 4, 6), "no more than may wait"),
        (1, 1, 0, (1,), "nobody may wait"),
    ],
)
def test_levels(instances: int, rows: int, most_waiting: int, levels: tuple[int, ...], reason: str) -> None:
    assert client_levels(instances, rows, most_waiting) == levels, reason


@settings(deadline=None)
@given(st.integers(1, 256), st.integers(1, 4096), st.integers(1, 1000))
def test_levels_are_few_and_end_where_they_should(instances: int, rows: int, most_waiting: int) -> None:
    levels = client_levels(instances, rows, most_waiting)

    assert 1 <= len(levels) <= 7
    assert list(levels) == sorted(set(levels))
    assert levels[-1] == min(max(4 * instances, 2 * rows), most_waiting)


@settings(deadline=None)
@given(
    candidates=st.integers(0, 60),
    levels=st.integers(1, 7),
    budget_s=st.floats(-5, 3600),
    load_s=st.floats(0, 60),
    finalists=st.integers(2, 3),
)
def test_a_schedule_keeps_the_budget_or_tries_a_single_candidate(
    candidates: int, levels: int, budget_s: float, load_s: float, finalists: int
) -> None:
    schedule = plan_schedule(candidates, tuple(range(1, levels + 1)), budget_s, load_s, finalists)

    assert schedule.candidates <= candidates
    assert bool(schedule.candidates) == bool(candidates)
    assert 0.4 <= schedule.slice_s <= 2.0
    assert schedule.candidates <= 1 or schedule.total_s <= budget_s + 1e-6
    assert schedule.seconds(1) > schedule.seconds(0)


def test_more_time_means_more_candidates_and_longer_slices() -> None:
    def planned(budget_s: float) -> tuple[int, float]:
        schedule = plan_schedule(12, (1, 4, 16), budget_s, 5.0, 2)
        return schedule.candidates, schedule.slice_s

    assert planned(60)[0] < planned(180)[0] < planned(600)[0] == 12
    assert planned(600)[1] > planned(250)[1]


@pytest.mark.parametrize(
    ("done", "elapsed_s", "left_s", "reason"),
    [
        (0, 0.0, 100.0, "as planned"),
        (5, 50.0, 50.0, "half of it"),
        (5, 100.0, 100.0, "twice as slow as planned"),
        (10, 300.0, 0.0, "all of it"),
        (12, 300.0, 0.0, "more than was planned"),
    ],
)
def test_what_is_left(done: int, elapsed_s: float, left_s: float, reason: str) -> None:
    schedule = plan_schedule(0, (1, 2), 10.0, 1.0, 2)
    schedule = type(schedule)((1, 2), 1, 1.0, total_s=100.0, slices=10)
    assert schedule.left_s(done, elapsed_s) == pytest.approx(left_s), reason
