"""Steps and arrivals: what a load comes to, and who sends which part of it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.benchmark.arrivals import due_times
from loadtest.plan.arrivals import Turns, arrivals, choose
from loadtest.plan.fixed import fixed_steps
from loadtest.plan.steps import PlacedStep, Step, place, step_at
from loadtest.scenario import BurstLoad, ClosedLoad, OpenLoad, RampLoad, StepsLoad
from loadtest.scenario.loads import Arrivals, Load

RATES = st.floats(0.5, 200)
PATTERNS = st.sampled_from(["even", "poisson"])


def dues(step: Step, pattern: Arrivals = "even", seed: int = 1, share: int = 0, shares: int = 1) -> list[float]:
    return [arrival.due_s for arrival in arrivals(PlacedStep(0, step, 10.0), pattern, seed, share, shares)]


@pytest.mark.parametrize(
    ("load", "steps"),
    [
        # reason: the warm-up comes first, as heavy as what follows, and does not count
        (ClosedLoad(kind="closed", users=4, duration=9), [("warm-up", 3, None, 4, False), ("4 users", 9, None, 4, True)]),
        (ClosedLoad(kind="closed", users=1, duration=9, warm_up=0), [("1 user", 9, None, 1, True)]),
        (OpenLoad(kind="open", rate=5, duration=9), [("warm-up", 3, 5, None, False), ("5/s", 9, 5, None, True)]),
        # reason: the beginning of a step belongs to the step before it, as far as queues go
        (
            StepsLoad(kind="steps", rates=(5, 7.5), step=9, settle=2, warm_up=1),
            [
                ("warm-up", 1, 5, None, False),
                ("5/s, settling", 2, 5, None, False),
                ("5/s", 7, 5, None, True),
                ("7.5/s, settling", 2, 7.5, None, False),
                ("7.5/s", 7, 7.5, None, True),
            ],
        ),
        (StepsLoad(kind="steps", users=(1, 2), step=9, warm_up=0), [("1 user", 9, None, 1, True), ("2 users", 9, None, 2, True)]),
        # reason: a burst is seen best with calm before and after it
        (
            BurstLoad(kind="burst", rate=2, burst_rate=9, burst=2, every=5, bursts=2, warm_up=0),
            [
                ("calm 1", 3, 2, None, True),
                ("burst 1", 2, 9, None, True),
                ("calm 2", 3, 2, None, True),
                ("burst 2", 2, 9, None, True),
                ("calm 3", 3, 2, None, True),
            ],
        ),
    ],
)  # fmt: skip
def test_the_steps_of_a_load(load: Load, steps: list[tuple[object, ...]]) -> None:
    assert [(s.name, s.seconds, s.rate_from, s.users, s.counts) for s in fixed_steps(load)] == steps


def test_a_ramp_begins_at_its_first_rate() -> None:
    warm, ramp = fixed_steps(RampLoad(**{"kind": "ramp", "from": 2, "to": 8, "duration": 10}))
    assert (warm.rate_from, warm.rate_to) == (2, 2)
    assert (ramp.rate_from, ramp.rate_to, ramp.offered) == (2, 8, 50)


@given(RATES, st.floats(1, 20))
def test_even_arrivals_are_those_of_the_benchmark(rate: float, seconds: float) -> None:
    step = Step("s", seconds, rate, rate)
    expected = [10 + due_s for due_s in due_times(rate, seconds, "even") if due_s < seconds - 1e-6]
    assert dues(step)[: len(expected)] == pytest.approx(expected)
    assert 0 <= len(dues(step)) - len(expected) <= 1


@given(RATES, RATES, st.floats(1, 20), PATTERNS, st.integers(0, 99))
def test_arrivals_are_in_order_and_inside_their_step(
    rate_from: float, rate_to: float, seconds: float, pattern: Arrivals, seed: int
) -> None:
    times = dues(Step("s", seconds, rate_from, rate_to), pattern, seed)
    assert all(10 <= time <= 10 + seconds + 1e-6 for time in times)
    assert all(a <= b for a, b in pairwise(times))


@given(RATES, RATES, st.floats(1, 20), PATTERNS, st.integers(0, 99), st.integers(1, 5))
def test_those_who_share_send_together_what_one_would_send(
    rate_from: float, rate_to: float, seconds: float, pattern: Arrivals, seed: int, shares: int
) -> None:
    step = Step("s", seconds, rate_from, rate_to)
    parts = [dues(step, pattern, seed, share, shares) for share in range(shares)]
    assert sorted(time for part in parts for time in part) == dues(step, pattern, seed)
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


@given(RATES, RATES, st.floats(1, 20))
def test_an_even_ramp_offers_what_its_rates_say_at_every_moment(
    rate_from: float, rate_to: float, seconds: float
) -> None:
    times = dues(Step("s", seconds, rate_from, rate_to))
    slope = (rate_to - rate_from) / seconds
    for number, time in enumerate(times):
        after_s = time - 10
        assert rate_from * after_s + slope / 2 * after_s**2 == pytest.approx(number, abs=1e-6)


def test_random_arrivals_come_as_often_as_the_rate_says() -> None:
    step = Step("s", 2000, 20, 20)
    assert len(dues(step, "poisson", 1)) == pytest.approx(40_000, rel=0.02)
    gaps = [b - a for a, b in pairwise(dues(step, "poisson", 2))]
    assert sum(gap > 0.05 for gap in gaps) / len(gaps) == pytest.approx(0.3679, abs=0.01)  # e⁻¹


def test_steps_have_gaps_of_their_own_and_the_same_seed_the_same() -> None:
    first, second = (PlacedStep(index, Step("s", 5, 20, 20), 0.0) for index in (0, 1))
    times = [[one.due_s for one in arrivals(step, "poisson", 3)] for step in (first, second, first)]
    assert times[0] == times[2] != times[1]


def test_nothing_is_due_in_a_closed_loop() -> None:
    assert dues(Step("s", 5, users=3)) == []


def test_steps_follow_each_other_without_gaps() -> None:
    placed = place([Step("a", 2, users=1), Step("b", 3, users=2)], 5.0, 7)
    assert [(one.index, one.begins_s, one.ends_s) for one in placed] == [(7, 5, 7), (8, 7, 10)]
    assert [PlacedStep.from_message(one.to_message()) for one in placed] == placed


@pytest.mark.parametrize(
    ("time_s", "index"),
    [(4.9, None), (5.0, 0), (6.9, 0), (7.0, 1), (9.9, 1), (10.0, None), (20.0, 2), (22.0, None)],
)
def test_a_time_belongs_to_the_step_that_runs(time_s: float, index: int | None) -> None:
    placed = place([Step("a", 2, users=1), Step("b", 3, users=2)], 5.0, 0)
    placed += place([Step("c", 2, users=1)], 20.0, 2)
    found = step_at(placed, time_s)
    assert (None if found is None else found.index) == index


def test_a_step_that_was_cut_short_ends_there() -> None:
    facts = PlacedStep(0, Step("ramp", 10, 0.5, 10.5), 5.0).facts(ended_s=9.0)
    assert (facts.ends_s, facts.rate_from, facts.rate_to) == (9.0, 0.5, 4.5)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=5), st.integers(0, 9))
def test_whoever_chooses_by_weight_chooses_the_same(weights: list[float], seed: int) -> None:
    first, again = ([choose(weights, seed, number) for number in range(30)] for _ in range(2))
    assert first == again
    assert set(first) <= set(range(len(weights)))


def test_choices_follow_the_weights() -> None:
    chosen = [choose([3, 1], 1, number) for number in range(4000)]
    assert chosen.count(0) / len(chosen) == pytest.approx(0.75, abs=0.03)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 40))
def test_turns_are_as_even_as_can_be(weights: list[int], rounds: int) -> None:
    turns = Turns(weights)
    taken = [next(turns) for _ in range(rounds)]
    for index, weight in enumerate(weights):
        assert abs(taken.count(index) - rounds * weight / sum(weights)) < len(weights)
    whole = Turns(weights)
    one_round = [next(whole) for _ in range(sum(weights))]
    assert [one_round.count(index) for index in range(len(weights))] == weights
