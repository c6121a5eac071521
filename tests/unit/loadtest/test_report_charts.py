"""Axes with round ticks, and paths that show what there is and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report import text
from loadtest.report.charts.axis import SIDE, Axis, tail_of
from loadtest.report.charts.drawing import Band, Mark, Series, bars, path_of, placed_bands, placed_marks, stacked
from loadtest.report.plots.distribution import histogram, percentile_curve
from loadtest.report.plots.requests import faults_over_time, latency_over_time, stages_over_time, throughput_over_time
from loadtest.report.plots.server import server_charts
from loadtest.report.plots.steps import ladder, latency_by_load, served_by_load
from tests.example_run import facts, knee, met_and_missed, records, samples, stairs, steady


def points(d: str) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in re.findall(r"(-?[\d.]+) (-?[\d.]+)", d)]


@given(st.floats(1e-3, 1e7))
def test_a_linear_axis_begins_at_nothing_and_holds_its_highest_value(highest: float) -> None:
    axis = Axis.linear(highest, text.number)
    assert axis.low == 0
    assert axis.high >= highest * 0.999999
    assert 2 <= len(axis.ticks) <= 7
    assert (axis.ticks[0].at, axis.ticks[-1].at) == (0, pytest.approx(1))
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks), "each tick has a word of its own"


@given(st.floats(1e-3, 1e5), st.floats(1.0, 1e5))
def test_a_logarithmic_axis_holds_both_ends(lowest: float, ratio: float) -> None:
    axis = Axis.log(lowest, lowest * ratio, text.ms_tick)
    assert axis.low <= lowest * 1.001
    assert axis.high >= lowest * ratio * 0.999
    assert axis.ticks
    assert axis.at(lowest) <= axis.at(lowest * ratio)


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        pytest.param([10, 40, None], False, id="near each other"),
        pytest.param([10, 400], True, id="far apart"),
        pytest.param([0, 400], False, id="zero has no logarithm"),
        pytest.param([None], False, id="nothing at all"),
        pytest.param([0.0], False, id="only nothing"),
    ],
)
def test_axes_are_logarithmic_where_values_are_far_apart(values: list[float | None], logarithmic: bool) -> None:
    assert Axis.fitting(values, text.number).logarithmic is logarithmic


@pytest.mark.parametrize(
    ("ends_s", "labels"),
    [
        pytest.param(4.0, ["0 s", "1 s", "2 s", "3 s", "4 s"], id="seconds"),
        pytest.param(240.0, ["0:00", "1:00", "2:00", "3:00", "4:00"], id="minutes"),
        pytest.param(7200.0, ["0:00", "15:00", "30:00", "45:00", "1:00:00"], id="hours"),
    ],
)
def test_times_have_round_ticks(ends_s: float, labels: list[str]) -> None:
    assert [tick.label for tick in Axis.time(0.0, ends_s).ticks][:5] == labels[:5] or ends_s == 240.0
    assert set(labels) <= {tick.label for tick in Axis.time(0.0, ends_s).ticks}


def test_the_tail_is_drawn_out() -> None:
    assert tail_of(0.9) == pytest.approx(1)
    assert tail_of(0.999) == pytest.approx(3)
    labels = [tick.label for tick in Axis.tail([0.5, 0.9995, 1.0]).ticks]
    assert labels == ["0 %", "50 %", "90 %", "99 %", "99.9 %"]


def test_a_line_is_broken_where_there_is_no_value() -> None:
    x, y = Axis(0, 4), Axis(0, 10)
    path = path_of(Series("a", "s1", [0, 5, None, 10, None]), [0, 1, 2, 3, 4], x, y)
    assert path.d == "M0 1000L250 500M750 0h0"


def test_an_area_stands_on_the_ground() -> None:
    path = path_of(Series("a", "s1", [5, 5], "area"), [0, 1], Axis(0, 1), Axis(0, 10))
    assert path.d == "M0 500L1000 500L1000 1000L0 1000Z"


def test_stacked_areas_lie_upon_each_other() -> None:
    series = [Series("a", "s1", [1.0, 1.0]), Series("b", "s2", [2.0, None])]
    lower, upper = stacked(series, [0, 1], Axis(0, 1), Axis(0, 4))
    assert points(lower.d) == [(0, 750), (1000, 750), (1000, 1000), (0, 1000)]
    assert points(upper.d) == [(0, 250), (0, 750)], "where one has no value there is nothing above it"


def test_bars_have_the_height_of_their_count_and_none_has_none() -> None:
    path = bars([1.0, 0.0], [(0, 1), (1, 2)], Axis(0, 2), Axis(0, 2), "s1")
    assert path.d.count("M") == 1
    assert "V500" in path.d


def test_marks_and_bands_that_are_off_the_chart_are_left_out() -> None:
    x, y = Axis(0, 10), Axis(0, 100)
    marks = placed_marks([Mark(50, "limit"), Mark(500, "off"), Mark(3, "step", upright=True)], x, y)
    assert [(mark.label, mark.at) for mark in marks] == [("limit", 0.5), ("step", 0.3)]
    bands = placed_bands([Band(-5, 5, "warm-up"), Band(20, 30, "off")], x)
    assert [(band.label, band.at, band.to) for band in bands] == [("warm-up", 0.0, 0.5)]


@pytest.fixture(scope="module")
def document() -> dict:
    from loadtest.report.document import build

    steps = steady()
    run = facts(steps, objectives=met_and_missed())
    return build(run, records(steps, failing=0.05, frames=True), samples(33))


@pytest.fixture(scope="module")
def rising() -> dict:
    from loadtest.report.document import build

    steps = stairs()
    return build(facts(steps, findings=knee()), records(steps, capacity=38))


def test_every_chart_of_a_run_stays_inside_its_square(document: dict, rising: dict) -> None:
    charts = [
        latency_over_time(document), throughput_over_time(document), faults_over_time(document),
        stages_over_time(document), percentile_curve(document), histogram(document), *server_charts(document),
        served_by_load(rising), latency_by_load(rising),
    ]  # fmt: skip
    assert len(charts) == 12
    for chart in charts:
        assert chart is not None
        for path in chart.paths:
            assert path.d, chart.title
            for a, b in points(path.d):
                assert 0 <= a <= SIDE, chart.title
                assert 0 <= b <= SIDE, chart.title
        assert len(chart.positions) == len(chart.table) > 0
        assert all(len(row) == len(chart.table_head) for row in chart.table)
        assert all(0 <= at <= 1 for at in chart.positions)


def test_the_objective_is_drawn_into_the_charts_of_latency(document: dict) -> None:
    for chart in (latency_over_time(document), percentile_curve(document)):
        assert chart is not None
        assert [mark.label for mark in chart.marks if not mark.upright] == ["objective p99"]


def test_steps_are_drawn_by_their_load_and_only_where_it_rose(document: dict, rising: dict) -> None:
    assert ladder(document) is None
    found = ladder(rising)
    assert found is not None
    assert found.loads == (10, 20, 30, 40, 50)


def test_what_did_not_happen_has_no_chart() -> None:
    from loadtest.report.document import build

    nothing = build(facts(steady()), [])
    assert latency_over_time(nothing) is None
    assert faults_over_time(nothing) is None
    assert stages_over_time(nothing) is None
    assert percentile_curve(nothing) is None
    assert histogram(nothing) is None
    assert server_charts(nothing) == []
