"""Which steps a run takes, and what it finds, with simulated servers instead of real ones."""

from dataclasses import replace

import pytest

from loadtest.conduct.programme import Programme, programme_of, throughput
from loadtest.plan.arrivals import arrivals
from loadtest.plan.steps import PlacedStep, Step, place
from loadtest.records import Finding, RequestRecord
from loadtest.scenario import FindRateLoad, KneeLoad, OpenLoad, StepsLoad
from loadtest.scenario.loads import Load
from tests.unit.loadtest.simulated_queue import SimulatedServer

Records = dict[int, list[RequestRecord]]


def closed(server: SimulatedServer, placed: PlacedStep) -> list[RequestRecord]:
    """So many users who ask again when they are answered: the server is always busy, if they are enough."""
    gap_s = server.service_s / min(placed.step.users or 0, server.instances)
    count = round(placed.step.seconds / gap_s)
    return [
        RequestRecord(placed.index, "detect", "m", "closed", begins_s, "done", begins_s, begins_s + server.service_s)
        for begins_s in (placed.begins_s + number * gap_s for number in range(count))
    ]


def play(load: Load, server: SimulatedServer) -> tuple[Programme, list[PlacedStep], Records, list[str]]:
    """Runs a load to its end, as the conductor does."""
    programme = programme_of(load)
    placed: list[PlacedStep] = []
    measured: Records = {}
    reasons: list[str] = []
    now_s = 0.0
    for _ in range(100):
        steps, why = programme.next(placed, measured)
        if not steps:
            return programme, placed, measured, reasons
        reasons.append(why)
        fresh = place(steps, now_s, len(placed))
        placed += fresh
        for one in fresh:
            if one.step.loop == "closed":
                measured[one.index] = closed(server, one)
            else:
                dues_s = [arrival.due_s for arrival in arrivals(one, load.arrivals, load.seed)]  # type: ignore[union-attr]
                measured[one.index] = [replace(record, step=one.index) for record in server.serve(dues_s)]
        now_s = max(one.done_s or 0.0 for records in measured.values() for one in records) + 1
    raise AssertionError("a run has an end")


def by_name(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_knee_is_saturated_first_and_searched_then() -> None:
    server = SimulatedServer()
    programme, placed, measured, reasons = play(KneeLoad(kind="knee", arrivals="even"), server)
    assert [one.step.name for one in placed[:2]] == ["warm-up", "8 users"]
    assert placed[2].step.rate_from == pytest.approx(server.capacity, rel=0.02)
    assert reasons[0] == "what do busy users get"
    found = by_name(programme.findings(placed, measured))
    assert found["saturation"].value == pytest.approx(server.capacity, rel=0.02)
    assert found["knee"].value == pytest.approx(server.capacity, rel=0.05)
    assert found["ratio"].value == pytest.approx(1.0, abs=0.1)
    assert found["knee"].low == found["knee"].value < found["knee"].high
    results = programme.results(placed)
    assert results
    assert all(placed[index].step.rate_from == found["knee"].value for index in results)


def test_busy_users_are_asked_again_between_the_tries_of_a_knee_and_after_them() -> None:
    """A machine that slows down while it is searched would make the two answers differ that should be the same."""
    programme, placed, measured, reasons = play(KneeLoad(kind="knee", arrivals="even"), SimulatedServer())
    kinds = ["busy" if one.step.users else "try" for one in placed if one.step.counts]
    assert kinds[0] == kinds[-1] == "busy"
    assert "try try try try" not in " ".join(kinds)
    assert "busy busy" not in " ".join(kinds)
    assert reasons.count("what do busy users get now") == kinds.count("busy") - 1
    saturation = by_name(programme.findings(placed, measured))["saturation"]
    assert saturation.low is not None
    assert saturation.high is not None
    assert saturation.low <= saturation.value <= saturation.high


def test_a_rate_is_searched_from_what_busy_users_get() -> None:
    server = SimulatedServer()
    load = FindRateLoad(kind="find-rate", limit_ms=200, probe=60, max_probes=60)
    programme, placed, measured, _ = play(load, server)
    (rate,) = programme.findings(placed, measured)
    assert rate.name == "rate"
    assert 0.7 * server.capacity < rate.value < server.capacity
    assert "99 % of the requests within 200 ms" in rate.explanation


def test_a_start_that_is_given_saves_the_saturation() -> None:
    load = FindRateLoad(kind="find-rate", limit_ms=200, start=30, warm_up=2)
    programme = programme_of(load)
    steps, _ = programme.next((), {})
    assert [(step.name, step.rate_from, step.counts) for step in steps] == [("warm-up", 30, False)]
    steps, _ = programme.next(place(steps, 0, 0), {})
    assert [(step.name, step.rate_from, step.seconds) for step in steps] == [("30/s", 30, 10)]
    (first,), _ = programme_of(replace(load, warm_up=0)).next((), {})
    assert first.rate_from == 30


def test_a_server_that_answers_nobody_has_no_rate() -> None:
    server = SimulatedServer(instances=1, service_s=60)
    programme, placed, measured, _ = play(FindRateLoad(kind="find-rate", limit_ms=100, start=8), server)
    (rate,) = programme.findings(placed, measured)
    assert rate.value is None
    assert "even the lowest rate" in rate.explanation
    results = programme.results(placed)
    assert results, "how far it is from the limit"
    assert {placed[index].step.rate_from for index in results} == {rate.high}
    assert rate.high == min(one.step.rate_from for one in placed if one.step.rate_from)


def test_the_lowest_rate_is_not_tried_for_ever() -> None:
    """Twenty requests in three seconds are 6.667 a second, and rates have four digits."""
    server = SimulatedServer(instances=1, service_s=60)
    load = FindRateLoad(kind="find-rate", limit_ms=100, start=8, probe=3, warm_up=0)
    programme, placed, measured, _ = play(load, server)
    (rate,) = programme.findings(placed, measured)
    assert "even the lowest rate" in rate.explanation
    assert [one.step.rate_from for one in placed] == [8, 6.957, 6.667]


@pytest.mark.parametrize(
    ("rates", "low", "high"),
    [
        ((20, 40, 60), 40, 60),  # reason: 50 a second is what it can do
        ((20, 30), 30, None),  # reason: it held to the end
        ((60, 70), None, 60),  # reason: it never held
    ],
)
def test_steps_of_rates_show_the_knee(rates: tuple[float, ...], low: float | None, high: float | None) -> None:
    load = StepsLoad(kind="steps", rates=rates, step=10, arrivals="even", warm_up=0)
    programme, placed, measured, _ = play(load, SimulatedServer())
    (knee,) = programme.findings(placed, measured)
    assert (knee.value, knee.low, knee.high) == (low, low, high)


def test_steps_of_users_show_how_many_saturate() -> None:
    load = StepsLoad(kind="steps", users=(1, 2, 4, 8), step=10, warm_up=0)
    programme, placed, measured, _ = play(load, SimulatedServer())
    found = by_name(programme.findings(placed, measured))
    assert found["saturation"].value == pytest.approx(50, rel=0.02)
    assert found["knee"].value == 2


def test_a_search_that_is_cut_short_still_has_what_it_measured() -> None:
    programme = programme_of(KneeLoad(kind="knee"))
    steps, _ = programme.next((), {})
    placed = place(steps, 0.0, 0)
    assert programme.results(placed) == [1]
    assert programme.findings(placed, {}) == ()


def test_a_load_without_a_question_finds_nothing() -> None:
    programme, placed, measured, _ = play(OpenLoad(kind="open", rate=20), SimulatedServer())
    assert programme.findings(placed, measured) == ()
    assert programme.results(placed) == [1]


def test_throughput_is_what_came_while_the_step_lasted() -> None:
    placed = PlacedStep(1, Step("s", 2, users=1), 10.0)
    early = RequestRecord(0, "detect", "m", "closed", 9, "done", 9, 10.5)
    done = [RequestRecord(1, "detect", "m", "closed", 10, "done", 10, done_s) for done_s in (11.0, 11.9, 12.0)]
    failed = RequestRecord(1, "detect", "m", "closed", 10, "failed", 10, 11.0)
    assert throughput(placed, {0: [early], 1: [*done, failed]}) == 1.5
