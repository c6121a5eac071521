"""Who stays for the next round, and who wins."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.tuning.halving import Standing, judge, standing, survivors
from pasarela_server.tuning.measurement import Point, Slice
from tests.unit.server.tuning.tuned import a_slice


def point(throughput: float, p99_ms: float = 10.0, clients: int = 4) -> Point:
    return Point(clients, throughput, p99_ms, p99_ms, 1.0, 100, 100.0)


STANDINGS = [
    # candidate, baseline, target, ratio, reason
    ([point(50)], [point(40)], None, 1.25, "throughput over throughput"),
    ([point(50, 90)], [point(40, 30)], 50, 0.0, "whoever misses the target is worth nothing"),
    ([point(50, 30)], [point(60, 90)], 50, math.inf, "and beats anybody who keeps it"),
    ([point(20, 30, 1), point(50, 90, 4)], [point(40, 30)], 50, 0.5, "only loads that keep the target count"),
    ([point(50, math.inf)], [point(40)], None, 0.0, "refusing requests is no way to be fast"),
    ([], [point(40)], None, 0.0, "nothing was measured"),
]


@pytest.mark.parametrize(
    ("candidate", "baseline", "target", "ratio", "reason"), STANDINGS, ids=[row[4] for row in STANDINGS]
)
def test_standing(
    candidate: list[Point], baseline: list[Point], target: float | None, ratio: float, reason: str
) -> None:
    assert standing(candidate, baseline, target).ratio == ratio, reason


SURVIVORS = [
    ({}, (), "nobody"),
    ({"a": Standing(0.8, 10)}, ("a",), "a single one that is near stays: the confirmation decides"),
    ({"a": Standing(0.7, 10)}, (), "one far below never turns it round"),
    ({"a": Standing(1.0, 1), "b": Standing(1.2, 1), "c": Standing(1.1, 1)}, ("b", "c"), "the better half, rounded up"),
    ({"a": Standing(0.5, 1), "b": Standing(1.2, 1), "c": Standing(0.6, 1)}, ("b",), "not even the half, if hopeless"),
    ({"a": Standing(0, 80), "b": Standing(0, 60)}, ("b",), "where all miss the target, the nearest to it"),
    ({"a": Standing(0, 20), "b": Standing(math.inf, 30)}, ("b",), "only one keeps it"),
]


@pytest.mark.parametrize(("standings", "stay", "reason"), SURVIVORS, ids=[row[2] for row in SURVIVORS])
def test_survivors(standings: dict[str, Standing], stay: tuple[str, ...], reason: str) -> None:
    assert survivors(standings) == stay, reason


@settings(deadline=None)
@given(st.dictionaries(st.integers(), st.builds(Standing, st.floats(0, 3), st.floats(0, 100)), max_size=40))
def test_halving_always_comes_to_an_end_and_keeps_the_best(standings: dict[int, Standing]) -> None:
    left = survivors(standings)

    assert len(left) <= math.ceil(len(standings) / 2)
    best = max((each.ratio for each in standings.values()), default=0)
    assert best < 0.75 or standings[left[0]].ratio == best


Repeats = list[dict[str, list[Slice]]]


def repeats(*throughputs: tuple[float, ...], names: str = "abc", latency_ms: float = 40.0) -> Repeats:
    return [
        {name: [a_slice(4, each, latency_ms)] for name, each in zip(names, row, strict=False)} for row in throughputs
    ]


VERDICTS = [
    # repeats, target, choice, reason
    (repeats((100, 110), (100, 112), (101, 111)), None, "b", "more in every repeat"),
    (repeats((100, 110), (100, 99), (100, 130)), None, "a", "one repeat in which it did less is enough"),
    (repeats((100, 101), (100, 101), (100, 101)), None, "a", "too little to change anything for"),
    (repeats((100, 100), (100, 103), (100, 150)), None, "a", "a gain that is no larger than what repeats differ by"),
    (repeats((100, 105, 120), (100, 106, 121)), None, "c", "the last beats the first and the second"),
    (repeats((100, 120, 121), (100, 121, 122)), None, "b", "the last does not clearly beat the second"),
    (repeats((100, 90, 95), (100, 90, 95)), None, "a", "nobody does better"),
    (repeats((0, 10), (0, 11)), None, "b", "one that answers against one that does not"),
]


@pytest.mark.parametrize(("measured", "target", "choice", "reason"), VERDICTS, ids=[row[3] for row in VERDICTS])
def test_verdicts(measured: Repeats, target: float | None, choice: str, reason: str) -> None:
    finalists = sorted(measured[0])
    assert judge(finalists, measured, target).choice == choice, reason


def test_the_target_counts_before_throughput() -> None:
    slow = [{"a": [a_slice(4, 100, 40)], "b": [a_slice(4, 200, 80)]} for _ in range(5)]
    assert judge(["a", "b"], slow, 50.0).choice == "a"
    assert judge(["a", "b"], slow, 90.0).choice == "b"

    only_b = [{"a": [a_slice(4, 200, 80)], "b": [a_slice(4, 100, 40)]} for _ in range(5)]
    assert judge(["a", "b"], only_b, 50.0).choice == "b", "the configuration as it is misses the target"


def test_each_is_taken_at_the_load_where_it_does_best() -> None:
    measured = [{"a": [a_slice(1, 100), a_slice(8, 130)], "b": [a_slice(1, 120), a_slice(8, 125)]} for _ in range(5)]
    verdict = judge(["a", "b"], measured, None)

    assert verdict.choice == "a", "b is better with one client, but a does more with eight"
    assert verdict.ratios["b"] == pytest.approx((125 / 130,) * 5)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    noise=st.floats(0.01, 0.6),
    worth=st.floats(0.5, 1.5),
)
def test_a_choice_was_at_least_as_good_in_every_repeat_whatever_the_noise(
    seed: int, noise: float, worth: float
) -> None:
    chance = random.Random(seed)
    measured = [
        {
            name: [a_slice(4, 100 * value * chance.uniform(1 - noise, 1 + noise) + 1)]
            for name, value in (("a", 1.0), ("b", worth), ("c", 1.0))
        }
        for _ in range(7)
    ]
    verdict = judge(["a", "b", "c"], measured, None)

    if verdict.choice != "a":
        assert min(verdict.ratios[verdict.choice]) >= 1


def test_noise_alone_hardly_ever_changes_a_configuration() -> None:
    changed = 0
    for seed in range(400):
        chance = random.Random(seed)
        measured = [{name: [a_slice(4, 100 * chance.lognormvariate(0, 0.2))] for name in ("a", "b")} for _ in range(7)]
        changed += judge(["a", "b"], measured, None).choice == "b"
    assert changed <= 400 * 0.02
