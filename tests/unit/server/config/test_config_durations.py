"""Times as a person writes them."""

import pytest

from pasarela_server.config.values import duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("50ms", 0.05), ("2s", 2.0), ("1.5 S", 1.5), ("3m", 180.0), ("1h", 3600.0), ("250us", 0.00025)],
)
def test_a_time_with_its_unit(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("50", "without a unit nobody knows whether these are seconds"),
        ("0ms", "no time at all"),
        ("-3s", "a time that has passed"),
        ("", "nothing"),
        ("ms", "a unit alone"),
        ("1e3s", "no notation that a person uses"),
        ("5 days", "a unit that is unknown"),
    ],
)
def test_what_is_no_time(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="like 50ms, 2s or 3m"):
        duration_s(text)
        pytest.fail(reason)
