"""A run cut into windows of time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.records import StepFacts
from loadtest.report.windows import RESAMPLES, cut, drawing_windows, resampling_windows


def step(begins_s: float, ends_s: float) -> StepFacts:
    return StepFacts("load", begins_s, ends_s, "open", 1, 1)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=5), st.floats(0.2, 20))
def test_windows_fill_their_steps_and_cross_none(lengths: list[float], window_s: float) -> None:
    steps, at = [], 0.0
    for length in lengths:
        steps.append(step(at, at + length))
        at += length + 1.0  # a pause that belongs to no window
    windows = cut(steps, window_s)
    assert windows.seconds.sum() == pytest.approx(sum(lengths))
    for number, one in enumerate(steps):
        of_step = windows.step == number
        assert windows.begins_s[of_step].min() == one.begins_s
        assert windows.ends_s[of_step].max() == one.ends_s
        assert np.ptp(windows.seconds[of_step]) < 1e-6, "all of a step are equally long"


@pytest.mark.parametrize(
    ("time_s", "window"),
    [
        pytest.param(0.0, 0, id="the beginning is inside"),
        pytest.param(1.0, 1, id="an edge belongs to the later one"),
        pytest.param(2.0, -1, id="the end of a step is outside"),
        pytest.param(3.0, -1, id="a pause between steps"),
        pytest.param(4.5, 2, id="the second step"),
        pytest.param(-0.1, -1, id="before all"),
        pytest.param(9.0, -1, id="after all"),
        pytest.param(float("nan"), -1, id="what has no time"),
    ],
)
def test_every_time_lies_in_its_window(time_s: float, window: int) -> None:
    windows = cut([step(0, 2), step(4, 5)], 1.0)
    assert windows.of(np.array([time_s])).tolist() == [window]
    expected = [float(number == window) for number in range(3)]
    assert windows.counts(np.array([time_s])).tolist() == expected


def test_draws_take_as_many_windows_of_each_step_as_it_has() -> None:
    windows = cut([step(0, 3), step(3, 10)], 1.0)
    draws = windows.draws()
    assert draws.shape == (RESAMPLES, 10)
    assert (draws[:, :3].sum(axis=1) == 3).all()
    assert (draws[:, 3:].sum(axis=1) == 7).all()
    assert (draws == windows.draws()).all(), "a report made again says the same"


@pytest.mark.parametrize(
    ("seconds", "tells"),
    [
        pytest.param(2.0, False, id="four windows of half a second are too few"),
        pytest.param(3.0, True, id="six leave five degrees of freedom"),
        pytest.param(600.0, True, id="a long run has thirty"),
    ],
)
def test_short_runs_say_nothing_of_the_noise(seconds: float, tells: bool) -> None:
    windows = resampling_windows([step(0, seconds)])
    assert windows.tell is tells
    assert windows.count <= 31


@pytest.mark.parametrize("seconds", [1.0, 30.0, 119.0, 3600.0, 1e6])
def test_charts_have_no_more_points_than_can_be_told_apart(seconds: float) -> None:
    assert drawing_windows([step(0, seconds)]).count <= 61


def test_no_steps_have_no_windows() -> None:
    windows = resampling_windows([])
    assert windows.count == 0
    assert windows.of(np.array([1.0])).tolist() == [-1]
