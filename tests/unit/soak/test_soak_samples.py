"""When `make soak` says that memory grew."""

import pytest

from tests.soak.samples import Sample, growth


def samples(*rss_mb: float) -> list[Sample]:
    return [Sample(float(at), mb, 1, 1) for at, mb in enumerate(rss_mb)]


@pytest.mark.parametrize(
    ("rss_mb", "grown"),
    [
        ([100.0] * 20, 0.0),  # reason: nothing changes
        ([50.0] * 5 + [100.0] * 15, 0.0),  # reason: what is held in the first quarter is warm-up
        ([100.0] * 16 + [103.0] * 4, 0.03),  # reason: the last fifth counts
        ([100.0] * 16 + [100.0, 500.0, 100.0, 100.0], 0.0),  # reason: one moment is no growth
        ([100.0] * 16 + [90.0] * 4, -0.1),  # reason: it may shrink
    ],
)
def test_growth(rss_mb: list[float], grown: float) -> None:
    assert growth(samples(*rss_mb), 20.0) == pytest.approx(grown)


def test_too_few_samples_are_said() -> None:
    with pytest.raises(ValueError, match="too few samples"):
        growth(samples(1.0), 20.0)
