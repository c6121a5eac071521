"""When requests of an open load are due, and how their fates add up."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.benchmark.arrivals import Fate, Outcome, account, due_times


def test_even_arrivals_keep_their_gap() -> None:
    assert due_times(4, 1.0, "even") == [0.0, 0.25, 0.5, 0.75]


def test_independent_arrivals_come_at_the_rate_on_the_average_and_the_same_every_time() -> None:
    times = due_times(100, 100.0, "poisson", seed=3)
    assert times == due_times(100, 100.0, "poisson", seed=3) != due_times(100, 100.0, "poisson", seed=4)
    assert len(times) == pytest.approx(10_000, rel=0.05)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert sum(gap < 0.01 * math.log(2) for gap in gaps) / len(gaps) == pytest.approx(0.5, abs=0.03), "exponential"


@given(st.floats(0.1, 1e3), st.floats(0.01, 5), st.sampled_from(["even", "poisson"]))
def test_arrivals_lie_inside_the_schedule_in_order(rate: float, seconds: float, pattern: str) -> None:
    times = due_times(rate, seconds, pattern)  # type: ignore[arg-type]
    assert times == sorted(times)
    assert all(0 <= time <= seconds for time in times)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_that_sends_nothing_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        due_times(rate, 1.0, "even")


def outcome(fate: Fate, elapsed_ms: float, due_s: float = 0.0) -> Outcome:
    return Outcome(fate, due_s, elapsed_ms)


@pytest.mark.parametrize(
    ("one", "goodput", "late", "refused", "longest_ms"),
    [
        pytest.param(outcome("answered", 90), 0.5, 0, 0, 0, id="in time"),
        pytest.param(outcome("answered", 101), 0, 1, 0, 101, id="an answer after the deadline is worth nothing"),
        pytest.param(outcome("expired", 100), 0, 1, 0, 100, id="the deadline ended it"),
        pytest.param(outcome("refused", 3), 0, 0, 1, 3, id="the server said no"),
        pytest.param(outcome("failed", 7), 0, 0, 0, 7, id="something else"),
        pytest.param(outcome("answered", 90, 1.95), 0, 0, 0, 0, id="in time, but when the schedule was over"),
    ],
)
def test_one_outcome(one: Outcome, goodput: float, late: int, refused: int, longest_ms: float) -> None:
    fares = account([one], seconds=2.0, deadline_ms=100)
    assert (fares.goodput_per_second, fares.late, fares.refused) == (goodput, late, refused)
    assert fares.longest_refusal_ms == longest_ms
    assert fares.sent == 1


def test_latencies_are_those_of_answers_and_waits_those_of_the_rest() -> None:
    answers = [outcome("answered", ms) for ms in range(1, 101)]
    fares = account([*answers, outcome("refused", 2.0), outcome("refused", 40.0)], seconds=1.0, deadline_ms=1000)
    assert (fares.p50_ms, fares.p99_ms) == (50, 99)
    assert (fares.longest_refusal_ms, fares.refused, fares.failed) == (40.0, 2, 0)


def test_nothing_answered_is_infinitely_slow() -> None:
    fares = account([outcome("refused", 1.0)], seconds=1.0, deadline_ms=100)
    assert math.isinf(fares.p50_ms)
    assert math.isinf(fares.p99_ms)
    assert fares.goodput_per_second == 0


@given(
    st.lists(
        st.builds(
            Outcome, st.sampled_from(["answered", "refused", "expired", "failed"]), st.floats(0, 2), st.floats(0, 500)
        )
    )
)
def test_every_request_is_accounted_for_once(outcomes: list[Outcome]) -> None:
    fares = account(outcomes, seconds=3.0, deadline_ms=100)
    timely = sum(one.fate == "answered" and one.elapsed_ms <= 100 for one in outcomes)
    assert timely + fares.late + fares.refused + fares.failed == fares.sent
    assert fares.goodput_per_second * 3 == pytest.approx(timely)
