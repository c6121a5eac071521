"""Percentiles, the curve of them, and the histogram: exact, and together all of the values."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.benchmark.spread import percentile as by_definition
from loadtest.report.distribution import histogram, percentile, percentile_curve

LATENCIES = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=300).map(np.array)


@given(LATENCIES, st.floats(0.001, 1.0))
def test_percentiles_are_those_of_the_nearest_rank(values: np.ndarray, fraction: float) -> None:
    assert percentile(values, fraction) == by_definition(values.tolist(), fraction)


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(percentile(np.array([]), 0.5))
    assert percentile_curve(np.array([])) == []
    assert histogram(np.array([])) == []


@given(LATENCIES)
def test_the_curve_rises_to_the_longest_latency(values: np.ndarray) -> None:
    points = percentile_curve(values)
    fractions, latencies = [one.fraction for one in points], [one.latency_ms for one in points]
    assert fractions == sorted(fractions)
    assert latencies == sorted(latencies)
    assert (fractions[-1], latencies[-1]) == (1.0, values.max())
    for point in points:
        if point.fraction > 0:
            assert point.latency_ms == percentile(values, point.fraction)


@pytest.mark.parametrize(
    ("count", "furthest"),
    [
        pytest.param(10, 0.9, id="of ten values one is beyond p90"),
        pytest.param(1000, 0.998, id="of a thousand one is beyond p99.9"),
    ],
)
def test_the_curve_goes_as_far_as_there_are_values_to_tell(count: int, furthest: float) -> None:
    points = percentile_curve(np.arange(1.0, count + 1))
    assert furthest - 0.05 < points[-2].fraction < 1 - 1 / count + 1e-9


@given(LATENCIES)
def test_the_histogram_holds_every_value_once(values: np.ndarray) -> None:
    bins = histogram(values)
    assert sum(one.count for one in bins) == len(values)
    assert (bins[0].from_ms, bins[-1].to_ms) == (values.min(), values.max())
    assert all(left.to_ms == right.from_ms for left, right in itertools.pairwise(bins))
