"""Rounds and confirmation, on machines that are simulated."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.tuning.candidate import BASELINE, Candidate
from pasarela_server.tuning.journal import Journal, Sitting, sitting_from_json, sitting_to_json
from pasarela_server.tuning.measurement import Slice
from pasarela_server.tuning.schedule import Schedule, plan_schedule
from pasarela_server.tuning.search import CandidateFailed, Found, Search
from tests.unit.server.tuning.tuned import Bench, a_slice

SCHEDULE = Schedule(levels=(1, 2, 4), candidates=8, slice_s=1.0)
EIGHT = [Candidate(instances=count) for count in range(1, 9)]


def worth(candidate: Candidate) -> float:
    """Throughput with many clients: five instances are the best, and better than things are now."""
    return 100.0 if candidate == BASELINE else 130.0 - 10 * abs(5 - (candidate.instances or 0))


def machine(candidate: Candidate, clients: int) -> Slice:
    """Two requests run side by side; more wait."""
    throughput = worth(candidate) * min(1.0, clients / 2)
    return a_slice(clients, throughput, 1000 * clients / throughput)


def search(
    bench: Bench,
    candidates: Sequence[Candidate] = EIGHT,
    *,
    target_ms: float | None = None,
    kept: Sequence[Candidate] = (),
    journal: Journal | None = None,
) -> Found:
    return Search(bench.open, SCHEDULE, target_ms, journal or Journal()).run(bench.baseline, candidates, kept)


def test_the_best_is_found_and_confirmed() -> None:
    bench = Bench(machine)
    found = search(bench)

    assert found.choice == Candidate(instances=5)
    assert found.verdict is not None
    assert found.verdict.ratios[found.choice] == pytest.approx((1.3,) * 7)
    assert bench.open_now == 0
    assert found.swing == (100, 100)
    assert found.ratios[Candidate(instances=5)] == (4, pytest.approx(1.3))
    assert found.ratios[Candidate(instances=1)] == (1, pytest.approx(0.9))


def test_rounds_halve_and_slices_grow() -> None:
    bench = Bench(machine)
    search(bench)

    seconds = {each for _, _, each in bench.asked}
    assert seconds == {1.0, 2.0, 1.5}
    measured = [sum(1 for who, _, each in bench.asked if who != BASELINE and each == length) for length in (1.0, 2.0)]
    assert measured == [8 * 3, (4 + 2 + 1) * 2], "8 candidates at each load, then 4, 2 and 1, twice at their best"


def test_the_baseline_is_measured_beside_every_candidate_in_turns() -> None:
    bench = Bench(machine)
    search(bench)

    in_rounds = [who for who, _, each in bench.asked if each != 1.5]
    assert all(who == BASELINE for who in in_rounds[::2])
    assert all(who != BASELINE for who in in_rounds[1::2])
    repeats = [who for who, _, each in bench.asked if each == 1.5]
    firsts = repeats[::2]
    assert [who == BASELINE for who in firsts] == [True, False] * 3 + [True], "the first comes last in the next repeat"


def test_things_stay_as_they_are_where_nothing_is_better() -> None:
    found = search(Bench(machine), [Candidate(instances=11), Candidate(instances=12)])
    assert found.choice == BASELINE
    assert found.verdict is None, "70 and 60 against 100 need no confirmation"


def test_one_of_the_same_worth_does_not_win() -> None:
    found = search(Bench(lambda _candidate, clients: a_slice(clients, 100)), EIGHT)
    assert found.choice == BASELINE
    assert found.verdict is not None


def test_nothing_to_try_measures_the_configuration_as_it_is() -> None:
    found = search(Bench(machine), [])
    assert found.choice == BASELINE
    assert [point.clients for point in found.measured[BASELINE]] == [1, 2, 4]


def test_the_target_decides() -> None:
    def slow_but_strong(candidate: Candidate, clients: int) -> Slice:
        if candidate == BASELINE:
            return a_slice(clients, 50 * clients, 20.0 * clients)
        return a_slice(clients, 90 * clients, 45.0 * clients)

    strong = Candidate(instances=1)
    assert search(Bench(slow_but_strong), [strong]).choice == strong
    assert search(Bench(slow_but_strong), [strong], target_ms=40).choice == BASELINE
    assert search(Bench(slow_but_strong), [strong], target_ms=80).choice == BASELINE, "4 clients in 80 ms beat 1 in 45"


def test_a_target_that_only_a_candidate_keeps() -> None:
    def one_keeps_it(candidate: Candidate, clients: int) -> Slice:
        return a_slice(clients, 50, 90.0 if candidate == BASELINE else 30.0)

    assert search(Bench(one_keeps_it), [Candidate(instances=1)], target_ms=50).choice == Candidate(instances=1)


def test_one_that_fails_is_left_out_with_its_reason() -> None:
    broken = Candidate(instances=5)
    found = search(Bench(machine, [broken]))

    assert found.failures == {broken: "no memory"}
    assert found.choice in (Candidate(instances=4), Candidate(instances=6))


def test_one_that_fails_at_last_leaves_the_others_to_be_compared() -> None:
    strong, default = Candidate(instances=5), Candidate(instances=0)
    seen: list[Candidate] = []

    def fails_in_the_confirmation(candidate: Candidate, clients: int) -> Slice:
        seen.append(candidate)
        if candidate == strong and seen.count(strong) > 3:
            raise CandidateFailed("killed")
        return machine(candidate, clients) if candidate != default else a_slice(clients, 110)

    found = search(Bench(fails_in_the_confirmation), [strong], kept=[default])

    assert found.failures == {strong: "killed"}
    assert found.choice == default


def test_the_defaults_take_part_in_the_confirmation_however_they_did() -> None:
    default = Candidate(instances=0)
    found = search(Bench(machine), [default, Candidate(instances=5)], kept=[default])

    assert found.verdict is not None
    assert set(found.verdict.ratios) == {default, Candidate(instances=5)}


def test_without_the_baseline_there_is_no_comparison() -> None:
    def dies(candidate: Candidate, clients: int) -> Slice:
        if candidate == BASELINE and clients == 4:
            raise CandidateFailed("killed")
        return machine(candidate, clients)

    with pytest.raises(CandidateFailed, match="killed") as raised:
        search(Bench(dies))
    assert raised.value.candidate == BASELINE


def test_what_was_measured_before_is_not_measured_again() -> None:
    journal = Journal()
    first = search(Bench(machine), journal=journal)

    again = Bench(machine)
    second = search(again, journal=Journal(journal.sittings))

    assert again.asked == []
    assert again.loaded == []
    assert second == first


def test_a_search_that_was_stopped_goes_on_where_it_was() -> None:
    kept: list[Sequence[Sitting]] = []
    left = iter(range(40))

    def stopped(candidate: Candidate, clients: int) -> Slice:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return machine(candidate, clients)

    bench = Bench(stopped)
    with pytest.raises(KeyboardInterrupt):
        search(bench, journal=Journal(on_add=kept.append))
    assert bench.open_now == 0

    written = [sitting_from_json(sitting_to_json(sitting)) for sitting in kept[-1]]
    assert len(written) == 6, "6 slices each"
    again = Bench(machine)
    found = search(again, journal=Journal(written))
    assert found.choice == Candidate(instances=5)
    assert again.loaded[0] == EIGHT[6]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 8), noise=st.floats(0, 0.5))
def test_on_any_machine_a_choice_is_at_least_as_good_in_every_repeat(seed: int, count: int, noise: float) -> None:
    chance = random.Random(seed)
    truth = {each: chance.uniform(40, 160) for each in (BASELINE, *EIGHT)}

    def noisy(candidate: Candidate, clients: int) -> Slice:
        throughput = max(1.0, truth[candidate] * min(clients, 2) / 2 * chance.uniform(1 - noise, 1 + noise))
        return a_slice(clients, throughput, 1000 * clients / throughput)

    found = search(Bench(noisy), EIGHT[:count])

    if found.choice != BASELINE:
        assert found.verdict is not None
        assert min(found.verdict.ratios[found.choice]) >= 1
    if noise == 0 and count:
        best = max(EIGHT[:count], key=lambda each: truth[each])
        assert found.choice == (best if truth[best] > 1.03 * truth[BASELINE] else found.choice)


def test_a_search_takes_as_many_slices_as_were_planned() -> None:
    schedule = plan_schedule(8, (1, 2, 4), 600, 1.0, 2)
    bench = Bench(machine)
    Search(bench.open, schedule, None, Journal()).run(bench.baseline, EIGHT)
    # The finalists do best at the same load here, where the plan allows for two.
    assert len(bench.asked) == schedule.slices - 7 * 2
