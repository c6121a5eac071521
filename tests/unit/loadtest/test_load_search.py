"""The search for a rate, step by step and against simulated servers whose true answer is known."""

import functools
import math
from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.records import RequestRecord
from loadtest.search.decide import Found, SearchSettings, Try, decide
from loadtest.search.judgement import Judge, Judgement, keeps_latency, keeps_up, wilson
from loadtest.search.levels import Knee, knee_of_rates, knee_of_users
from loadtest.search.probe import Probe, latency_drift, measure_probe
from tests.unit.loadtest.simulated_queue import SimulatedServer

SETTINGS = SearchSettings(start=20.0, precision=0.05)


def probe(rate: float, missed: int = 0, requests: int = 1000) -> Probe:
    return Probe(rate, requests, missed, missed, 0.0, 0.0)


def by_misses(probes: Sequence[Probe]) -> Judgement:
    """Clear below 100 misses a try and from 200 on; in between unclear, and by the mean."""
    mean = sum(one.missed for one in probes) / len(probes)
    return Judgement(holds=mean < 150, clear=mean < 100 or mean >= 200)


GOOD, BAD, RATHER_GOOD, RATHER_BAD = 0, 500, 120, 180


@pytest.mark.parametrize(
    ("probes", "rate", "why"),
    [
        # reason: nothing is known yet
        ([], 20.0, "first"),
        # reason: it holds, so the answer is above; the first stride is short, as the start is a good guess
        ([probe(20, GOOD)], 23.0, "upwards"),
        # reason: it fails, so the answer is below
        ([probe(20, BAD)], 20 / 1.15, "downwards"),
        # reason: strides grow: a bad guess is left behind quickly
        ([probe(20, GOOD), probe(23, GOOD)], 23 * 1.15**2, "upwards"),
        # reason: what is unclear is tried once more
        ([probe(20, RATHER_BAD)], 20.0, "unclear, once more"),
        # reason: after as many tries as allowed the mean decides, here against it
        ([probe(20, RATHER_BAD)] * 3, 20 / 1.15, "downwards"),
        # reason: between a rate that holds and one that fails, the middle of their ratio
        ([probe(16, GOOD), probe(25, BAD)], 20.0, "halves the bracket"),
        # reason: narrow enough, but each end was seen once only
        ([probe(20, GOOD), probe(20.5, BAD)], 20.0, "confirms the highest that holds"),
        # reason: a pause of the machine may have made it fail
        ([probe(20, GOOD), probe(20.5, BAD), probe(20, GOOD)], 20.5, "confirms the lowest that fails"),
        # reason: the second look at the upper end says that it holds after all; the answer is not far
        (
            [probe(20, GOOD), probe(20.5, BAD), probe(20, GOOD), *[probe(20.5, GOOD)] * 5],
            20.5 * (20.5 / 20) ** 2,
            "upwards",
        ),
    ],
)
def test_what_is_tried_next(probes: list[Probe], rate: float, why: str) -> None:
    action = decide(SETTINGS, by_misses, probes)
    assert isinstance(action, Try)
    assert action.rate == pytest.approx(rate)
    assert action.why == why


@pytest.mark.parametrize(
    ("settings", "probes", "found"),
    [
        # reason: narrow, and both ends seen twice
        (SETTINGS, [probe(20), probe(20.5, BAD)] * 2, Found(20, 20, 20.5, "precise", 4)),
        # reason: unclear to the end, and close: what is inside the bracket cannot be told apart
        (
            SETTINGS,
            [probe(20), probe(24, BAD), *[probe(22, RATHER_GOOD)] * 3],
            Found(22, 22, 24, "noise", 5),
        ),
        # reason: no tries left; what is known is said
        (SearchSettings(20, 0.05, max_probes=2), [probe(20), probe(40, BAD)], Found(20, 20, 40, "budget", 2)),
        # reason: there is no lower rate to try
        (SearchSettings(20, 0.05, lowest=20), [probe(20, BAD)], Found(None, None, 20, "too-low", 1)),
        # reason: there is no higher one
        (SearchSettings(20, 0.05, highest=20), [probe(20)], Found(20, 20, None, "too-high", 1)),
    ],
)
def test_when_the_search_ends(settings: SearchSettings, probes: list[Probe], found: Found) -> None:
    assert decide(settings, by_misses, probes) == found


@given(
    truth=st.floats(0.5, 5000),
    start=st.floats(0.5, 5000),
    precision=st.floats(0.005, 0.5),
    flukes=st.sets(st.integers(0, 60), max_size=3),
)
def test_it_finds_any_rate_in_a_bounded_number_of_tries(
    truth: float, start: float, precision: float, flukes: set[int]
) -> None:
    """Even if single tries fail that should hold, as long as each rate gets more good tries than such."""
    settings = SearchSettings(start, precision, repeats=9, max_probes=200)

    def majority(probes: Sequence[Probe]) -> Judgement:
        bad = sum(one.missed > 0 for one in probes)
        return Judgement(holds=2 * bad < len(probes), clear=bad in (0, len(probes)) or len(probes) > 6)

    probes: list[Probe] = []
    while isinstance(action := decide(settings, majority, probes), Try):
        wrong = len(probes) in flukes
        probes.append(probe(action.rate, BAD if action.rate > truth or wrong else GOOD))
    assert action.reason == "precise"
    assert action.low is not None
    assert action.high is not None
    assert action.low <= truth < action.high
    assert action.high <= action.low * (1 + precision) * (1 + 1e-6)


@given(st.lists(st.tuples(st.floats(0.1, 1e5), st.integers(0, 500)), max_size=40))
def test_whatever_was_tried_there_is_something_to_do(tried: list[tuple[float, int]]) -> None:
    action = decide(SETTINGS, by_misses, [probe(rate, missed) for rate, missed in tried])
    if isinstance(action, Try):
        assert SETTINGS.lowest <= action.rate <= SETTINGS.highest
    elif action.low is not None and action.high is not None:
        assert action.low < action.high


def search(
    server: SimulatedServer, settings: SearchSettings, judge: Judge, take: Callable[[float, int], Probe]
) -> Found:
    probes: list[Probe] = []
    while isinstance(action := decide(settings, judge, probes), Try):
        probes.append(take(action.rate, len(probes)))
    return action


@pytest.mark.parametrize("start", [5.0, 48.0, 300.0], ids=["far too low", "near", "far too high"])
@pytest.mark.parametrize(
    "server",
    [
        SimulatedServer(),
        SimulatedServer(jitter=0.3),
        SimulatedServer(queue=8),
        SimulatedServer(instances=1, service_s=0.1),
    ],
    ids=["two instances", "uneven service", "bounded queue", "one slow instance"],
)
def test_the_knee_of_a_simulated_server_is_its_capacity(server: SimulatedServer, start: float) -> None:
    settings = SearchSettings(start, 0.03, lowest=1.0)
    found = search(server, settings, keeps_up(0.02), lambda rate, n: server.probe(rate, 10, "even", n))
    assert found.rate == pytest.approx(server.capacity, rel=0.05)
    assert found.probes <= 20


@pytest.mark.parametrize("seed", range(6))
def test_a_machine_that_others_use_hides_the_knee_by_a_tenth_at_most(seed: int) -> None:
    server = SimulatedServer(jitter=0.5, stalls=0.03, chance=Random(seed))
    settings = SearchSettings(server.capacity * 0.95, 0.03, lowest=1.0)
    found = search(server, settings, keeps_up(0.02), lambda rate, n: server.probe(rate, 10, "even", n))
    assert found.rate == pytest.approx(server.capacity, rel=0.1)
    assert found.probes <= 30


@functools.cache
def true_rate(limit_s: float) -> float:
    """The rate at which 99 % keep the limit, by simulations of hours."""
    server = SimulatedServer()
    low, high = 5.0, server.capacity
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        long = server.probe(middle, 20_000 / middle, "poisson", 99, limit_s)
        low, high = (middle, high) if long.missed <= 0.01 * long.requests else (low, middle)
    return low


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit_s", [0.1, 0.2])
def test_the_rate_that_keeps_a_percentile_is_that_of_a_long_simulation(limit_s: float, seed: int) -> None:
    server = SimulatedServer()
    settings = SearchSettings(server.capacity, 0.03, max_probes=60)
    found = search(
        server, settings, keeps_latency(99), lambda rate, n: server.probe(rate, 60, "poisson", seed * 1000 + n, limit_s)
    )
    assert found.rate == pytest.approx(true_rate(limit_s), rel=0.1)


@pytest.mark.parametrize(
    ("missed", "requests", "holds", "clear"),
    [
        (0, 250, True, True),  # reason: were the share 1 %, none of 250 would be rare
        (2, 250, True, False),  # reason: 0.8 % of so few may as well be 1.2 %
        (3, 250, False, False),  # reason: the other way round
        (8, 250, False, True),  # reason: more than three times as many as allowed
        (0, 20, True, False),  # reason: twenty requests say nothing about one in a hundred
        (0, 0, False, False),  # reason: nothing was measured
    ],
)
def test_a_percentile_is_judged_by_how_many_requests_say_so(
    missed: int, requests: int, holds: bool, clear: bool
) -> None:
    assert keeps_latency(99)([probe(10, missed, requests)]) == Judgement(holds, clear)


def test_tries_at_one_rate_are_judged_together() -> None:
    assert keeps_latency(99)([probe(10, 1, 250)]) == Judgement(holds=True, clear=False)
    assert keeps_latency(99)([probe(10, 1, 250), probe(10, 0, 250)]) == Judgement(holds=True, clear=True)


@pytest.mark.parametrize(
    ("drift", "error", "failed", "holds", "clear"),
    [
        (0.0, 0.001, 0, True, True),  # reason: the latency stands still
        (0.05, 0.001, 0, False, True),  # reason: five per cent more comes than goes
        (0.019, 0.01, 0, True, False),  # reason: below the limit by less than the error
        (0.025, 0.01, 0, True, False),  # reason: above it by less than the error: nothing shows that it is overload
        (0.0, math.inf, 0, True, False),  # reason: too few answers to tell a slope
        (0.0, 0.001, 50, False, True),  # reason: a bounded queue refuses instead of growing
    ],
)
def test_keeping_up_is_judged_by_how_latency_grows(
    drift: float, error: float, failed: int, holds: bool, clear: bool
) -> None:
    assert keeps_up(0.02)([Probe(10, 100, failed, failed, drift, error)]) == Judgement(holds, clear)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share(counts: tuple[int, int]) -> None:
    hits, trials = counts
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials + 1e-12
    assert hits / trials - 1e-12 <= high <= 1


@pytest.mark.parametrize("over", [-0.2, -0.05, 0.05, 0.2, 1.0])
def test_drift_is_the_part_that_comes_beyond_what_is_served(over: float) -> None:
    server = SimulatedServer()
    assert server.probe(server.capacity * (1 + over), 10, "even", 1).drift == pytest.approx(max(0.0, over), abs=0.005)


def test_too_few_answers_show_no_drift() -> None:
    assert latency_drift([(0.0, 1.0), (1.0, 2.0)]) == (0.0, math.inf)


def test_a_try_counts_what_kept_the_limit_and_what_got_no_answer() -> None:
    server = SimulatedServer(instances=1, service_s=1.0, queue=1)
    taken = measure_probe(4, server.serve([0.0, 0.1, 0.2]), limit_s=1.5)
    assert (taken.requests, taken.missed, taken.failed) == (3, 2, 1)


def test_what_its_deadline_ended_got_no_answer() -> None:
    """A server that answers nobody lets all of them wait equally long: that is no latency which does not grow."""
    ended = [
        RequestRecord(0, "detect", "m", "open", due_s, "late", due_s, due_s + 1.0, "DEADLINE_EXCEEDED")
        for due_s in range(100)
    ]
    taken = measure_probe(1, ended)
    assert (taken.missed, taken.failed) == (100, 100)
    assert keeps_up(0.02)([taken]) == Judgement(holds=False, clear=True)


@pytest.mark.parametrize(
    ("failing", "knee"),
    [
        ({30, 40}, Knee(20, 30)),
        ({10}, Knee(None, 10)),  # reason: what holds above the first failure is luck
        (set(), Knee(40, None)),
    ],
)
def test_the_knee_of_steps_is_before_the_first_that_fails(failing: set[int], knee: Knee) -> None:
    probes = [probe(rate, BAD if rate in failing else GOOD) for rate in (40, 10, 30, 20)]
    assert knee_of_rates(probes, by_misses) == knee


def test_the_knee_of_users_is_where_more_of_them_get_no_more() -> None:
    assert knee_of_users([(1, 14.0), (2, 26.0), (4, 29.0), (8, 30.0)]) == (4, 30.0)
