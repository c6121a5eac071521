"""The benchmark's arithmetic: spreads, percentiles, ratios, loops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.benchmark.closed_loop import latencies_ms, rate, rate_of
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.spread import Spread, percentile


def figures(**quantities: list[float]) -> Figures:
    return Figures({"yolo_openvino": quantities})


def test_ratios_and_differences_are_taken_round_by_round() -> None:
    taken = figures(server=[80.0, 45.0, 10.0], pipeline=[100.0, 50.0, 20.0])
    pair = ("yolo_openvino", "server"), ("yolo_openvino", "pipeline")
    assert taken.ratio(*pair) == Spread(0.8, 0.5, 0.9), "the ratio of the medians would be 0.9"
    assert taken.difference(*pair) == Spread(-10.0, -20.0, -5.0)


@pytest.mark.parametrize(
    ("above", "below", "ratio"),
    [
        pytest.param([1.0, 9.0], [2.0], Spread(0.5, 0.5, 0.5), id="a stopped run has one of them more often"),
        pytest.param([], [2.0], None, id="one of them was not measured"),
        pytest.param([], [], None, id="none of them was"),
    ],
)
def test_ratios_need_both(above: list[float], below: list[float], ratio: Spread | None) -> None:
    assert figures(a=above, b=below).ratio(("yolo_openvino", "a"), ("yolo_openvino", "b")) == ratio


def test_figures_are_asked_for_what_is_not_there() -> None:
    taken = Figures()
    assert taken.median("m", "q") is None
    assert taken.spread("m", "q") is None
    assert taken.subjects() == [], "asking leaves nothing behind"


@pytest.mark.parametrize(
    ("role", "name"),
    [
        pytest.param("openvino", "garments_openvino", id="by the ending"),
        pytest.param("onnx", "my_onnx", id="only what follows the last underscore"),
        pytest.param("int8", None, id="none of it"),
    ],
)
def test_a_role_is_the_ending_of_a_name(role: str, name: str | None) -> None:
    assert Figures({key: {} for key in ("my_onnx", "garments_openvino", "openvino_2")}).role(role) == name


@pytest.mark.parametrize(
    ("fraction", "value"),
    [
        pytest.param(0.5, 20, id="half of four is two"),
        pytest.param(0.51, 30, id="a little more than half is three"),
        pytest.param(0.99, 40, id="of few values, the largest"),
        pytest.param(0.01, 10, id="at least one value"),
        pytest.param(1, 40, id="all"),
    ],
)
def test_percentiles_are_values_that_were_taken(fraction: float, value: float) -> None:
    assert percentile([40, 10, 30, 20], fraction) == value


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1))
def test_a_percentile_holds_at_least_its_part(values: list[float], fraction: float) -> None:
    limit = percentile(values, fraction)
    assert limit in values
    assert sum(value <= limit for value in values) >= fraction * len(values) - 1e-6


@pytest.mark.parametrize(("values", "fraction"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.5)])
def test_percentiles_of_nothing_are_refused(values: list[float], fraction: float) -> None:
    with pytest.raises(ValueError, match=r"at least one value|more than 0"):
        percentile(values, fraction)


@pytest.mark.parametrize(
    ("ended", "per_second"),
    [
        pytest.param([[1.0, 1.5, 2.0]], 2.0, id="two calls between three ends"),
        pytest.param([[0.1, 0.6], [0.3, 0.8]], 4.0, id="threads add up, whatever their phase"),
        pytest.param([[0.0, 1.0, 2.0], [0.0, 0.1, 0.2]], 11.0, id="each by its own clock"),
    ],
)
def test_rates_lose_no_part_of_a_call(ended: list[list[float]], per_second: float) -> None:
    assert rate_of(ended) == pytest.approx(per_second)


def test_every_thread_counts() -> None:
    calls = [0, 0]

    def step(index: int) -> None:
        calls[index] += 1

    assert rate([lambda: step(0), lambda: step(1)], seconds=0.01) > 0
    assert all(calls)


def test_what_a_thread_raises_ends_the_measurement() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rate([broken, lambda: None], seconds=60)


def test_what_a_thread_raises_later_ends_the_measurement_too() -> None:
    calls = iter(range(5))
    with pytest.raises(StopIteration):
        rate([lambda: next(calls)], seconds=60)  # type: ignore[arg-type,return-value]


def test_a_step_that_is_slower_than_the_window_is_still_timed() -> None:
    calls: list[int] = []
    assert latencies_ms(lambda: calls.append(1), seconds=0.0)[0] >= 0
    assert len(calls) == 2, "one to warm up, one that counts"
