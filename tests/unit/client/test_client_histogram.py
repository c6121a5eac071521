"""Histograms: differences, and percentiles within the bounds of their buckets."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client.histogram import Histogram

BOUNDS = (0.01, 0.1, 1.0, 10.0)
VALUES = st.lists(st.floats(0.0, 50.0), min_size=1, max_size=200)


def of(values: list[float]) -> Histogram:
    """As Prometheus counts values: each bucket holds those before it, too."""
    buckets = {bound: float(sum(value <= bound for value in values)) for bound in (*BOUNDS, math.inf)}
    return Histogram.of(buckets, sum(values))


def bucket(value: float) -> tuple[float, float]:
    """The bounds between which a value lies."""
    place = bisect_left(BOUNDS, value)
    return (0.0, *BOUNDS)[place], (*BOUNDS, math.inf)[place]


@given(VALUES, st.floats(0.1, 100.0))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[float], percent: float) -> None:
    true = sorted(values)[max(0, math.ceil(len(values) * percent / 100 - 1e-9) - 1)]
    lower, upper = bucket(true)
    found = of(values).percentile(percent)
    assert found is not None
    assert lower <= found <= upper


@given(VALUES)
def test_percentiles_rise(values: list[float]) -> None:
    found = [of(values).percentile(percent) or 0.0 for percent in (1, 25, 50, 90, 99, 100)]
    assert found == sorted(found)


@given(st.lists(st.floats(0.0, 50.0), max_size=50), VALUES)
def test_a_difference_holds_what_came_since(before: list[float], since: list[float]) -> None:
    grown = of(before + since) - of(before)
    assert grown.counts == of(since).counts
    assert grown.total == pytest.approx(of(since).total, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "percent", "expected"),
    [
        pytest.param([0, 10, 10, 10, 10], 50, 0.055, id="half way through a bucket"),
        pytest.param([10, 10, 10, 10, 10], 100, 0.01, id="all in the first bucket: its bound"),
        pytest.param([4, 4, 4, 4, 8], 99, math.inf, id="beyond the last bound: nobody knows how far"),
        pytest.param([5, 5, 10, 10, 10], 50, 0.01, id="on a bound, with empty buckets after it"),
        pytest.param([0, 0, 0, 0, 0], 50, None, id="no values"),
    ],
)
def test_percentiles(counts: list[int], percent: float, expected: float | None) -> None:
    found = Histogram.of(dict(zip((*BOUNDS, math.inf), map(float, counts), strict=True))).percentile(percent)
    assert found == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        (of([5.0] * 9), "counting began anew: there are less now"),
        (Histogram(), "there was none before"),
        (Histogram.of({1.0: 1.0, math.inf: 1.0}), "the buckets are others now"),
    ],
)
def test_what_cannot_be_subtracted_is_taken_whole(earlier: Histogram, reason: str) -> None:
    later = of([0.05, 0.05])
    assert later - earlier == later, reason


def test_buckets_without_an_end_get_one() -> None:
    assert Histogram.of({1.0: 2.0, 2.0: 3.0}).counts == (2.0, 1.0, 0.0)
    assert Histogram().percentile(50) is None


def test_histograms_of_the_same_bounds_can_be_added() -> None:
    assert (of([0.05]) + of([5.0])).counts == of([0.05, 5.0]).counts
    assert of([0.05]) + Histogram() == Histogram() + of([0.05]) == of([0.05])
    with pytest.raises(ValueError, match="different bounds"):
        _ = of([1.0]) + Histogram.of({3.0: 1.0})
