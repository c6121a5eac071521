"""The benchmark's arithmetic."""

import pytest

from loadtest.benchmark.__main__ import Figures
from loadtest.benchmark.closed_loop import rate


def test_ratios_are_taken_round_by_round() -> None:
    figures = Figures()
    for server, pipeline in ((80.0, 100.0), (45.0, 50.0), (10.0, 20.0)):
        figures.add("m", "server_16", server)
        figures.add("m", "pipeline", pipeline)
    assert figures.ratio("m", "server_16", "pipeline") == (0.8, 0.5, 0.9)
    assert figures.median("m", "pipeline") == 50.0
    assert figures.median("m", "benchmark_app") is None


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
