"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(0, "0", id="nothing"),
        pytest.param(29.333, "29.3", id="three digits"),
        pytest.param(4.0, "4", id="no zeros behind"),
        pytest.param(1234.5, "1,234", id="thousands are set apart, no part is left"),
        pytest.param(0.0123, "0.0123", id="small"),
        pytest.param(0.000001, "0", id="too small to say"),
        pytest.param(None, "–", id="not there"),
        pytest.param(math.nan, "–", id="no number"),
        pytest.param(math.inf, "–", id="no end"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        pytest.param(0.0241, "share", "2.41 %", id="a share"),
        pytest.param(37.25, "ms", "37.2 ms", id="milliseconds"),
        pytest.param(12_340, "ms", "12.3 s", id="many of them are seconds"),
        pytest.param(29.0, "/s", "29/s", id="a rate"),
        pytest.param(310.4, "MB", "310 MB", id="any other unit stands apart"),
        pytest.param(None, "MB", "–", id="nothing has no unit"),
    ],
)
def test_quantities(value: float | None, unit: str, shown: str) -> None:
    assert text.quantity(value, unit) == shown


@pytest.mark.parametrize(
    ("change", "percent", "points"),
    [
        pytest.param(0.239, "+23.9 %", "+23.90 points", id="more"),
        pytest.param(-0.05, "−5.0 %", "−5.00 points", id="less"),
        pytest.param(0.0, "±0.0 %", "±0.00 points", id="the same"),
        pytest.param(None, "–", "–", id="not known"),
    ],
)
def test_changes_have_their_sign(change: float | None, percent: str, points: str) -> None:
    assert text.signed_percent(change) == percent
    assert text.points(change) == points


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        pytest.param(8.25, "8.25 s", id="seconds"),
        pytest.param(119.0, "119 s", id="up to two minutes"),
        pytest.param(150.0, "2 min 30 s", id="minutes"),
        pytest.param(7200.0, "2 h", id="hours"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_nothing_is_written_with_an_exponent(value: float) -> None:
    for shown in (text.number(value), text.exact(value, 2), text.percent(value), text.signed_percent(value)):
        assert "e" not in shown
