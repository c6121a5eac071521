"""What slices say together, and at which load a candidate does best."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.tuning.measurement import Point, from_json, points, pool, swing, thin, to_json
from pasarela_server.tuning.operating import fastest, frontier, operating_point
from tests.unit.server.tuning.tuned import a_slice


def point(throughput: float, p99_ms: float, clients: int = 1) -> Point:
    return Point(clients, throughput, p99_ms, p99_ms, 1.0, 100, 100.0)


def test_slices_of_a_load_are_pooled_by_time_and_not_by_number() -> None:
    together = pool([a_slice(4, 100, 10), a_slice(4, 50, 30)])

    assert together.throughput == pytest.approx(75)
    assert together.requests == 1500
    assert together.p50_ms == pytest.approx(20)
    assert together.cpu_ms == pytest.approx(2000 / 1500)


def test_a_point_for_each_load() -> None:
    assert [each.clients for each in points([a_slice(8), a_slice(1), a_slice(8)])] == [1, 8]


@pytest.mark.parametrize(
    ("refused", "is_refusing", "reason"),
    [(0, False, "none"), (5, False, "a few of a thousand"), (100, True, "one in eleven")],
)
def test_a_load_that_is_refused_keeps_no_target(refused: int, is_refusing: bool, reason: str) -> None:
    assert math.isinf(pool([a_slice(4, 100, 10, refused)]).p99_ms) is is_refusing, reason


def test_nothing_answered_is_no_error() -> None:
    nothing = pool([a_slice(4, 0)])
    assert nothing.throughput == 0
    assert math.isinf(nothing.p99_ms)


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=3000))
def test_thinned_latencies_keep_order_and_extremes(latencies: list[float]) -> None:
    kept = thin(latencies)

    assert len(kept) <= 1000
    assert list(kept) == sorted(kept)
    assert (kept[0], kept[-1]) == (round(min(latencies), 3), round(max(latencies), 3))


def test_by_how_much_a_machine_swings() -> None:
    assert swing([a_slice(1, 500), a_slice(4, 100), a_slice(4, 150), a_slice(4, 120)]) == (100, 150)
    assert swing([]) == (0, 0)


def test_a_slice_comes_back_from_json() -> None:
    assert from_json(to_json(a_slice())) == a_slice()


OPERATING = [
    ([], None, None, "nothing was measured"),
    ([point(10, 20, 1), point(30, 60, 4)], None, 4, "most throughput"),
    ([point(10, 20, 1), point(30, 60, 4)], 50, 1, "under the target"),
    ([point(10, 20, 1), point(30, 60, 4)], 10, None, "nothing keeps it"),
    ([point(29.5, 20, 1), point(30, 60, 4)], None, 1, "the lighter load, where it does as much"),
    ([point(30, math.inf, 1)], None, None, "refusing is no answer"),
]


@pytest.mark.parametrize(("found", "target", "clients", "reason"), OPERATING, ids=[row[3] for row in OPERATING])
def test_where_a_candidate_does_best(
    found: list[Point], target: float | None, clients: int | None, reason: str
) -> None:
    best = operating_point(found, target)
    assert (best and best.clients) == clients, reason


def test_the_nearest_to_a_target_that_nothing_keeps() -> None:
    assert fastest([point(30, 60), point(10, 20)]) == point(10, 20)
    assert fastest([]) is None


@settings(deadline=None)
@given(st.lists(st.builds(point, st.floats(0, 100), st.floats(1, 100)), max_size=20))
def test_nothing_beats_the_frontier_and_it_leaves_nothing_out(found: list[Point]) -> None:
    kept = frontier(found)

    assert list(kept) == sorted(kept, key=lambda each: each.p99_ms)
    assert [each.throughput for each in kept] == sorted(each.throughput for each in kept)
    for each in found:
        assert any(best.throughput >= each.throughput and best.p99_ms <= each.p99_ms for best in kept)
