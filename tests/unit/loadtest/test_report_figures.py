"""The figures of a run out of its records: what counts, from when, and what does not."""

import math

import pytest

from loadtest.objectives import counted, is_unanswered
from loadtest.records import OUTCOMES, RequestRecord, StepFacts
from loadtest.report import breakdown
from loadtest.report.figures import KINDS, Figure, figures_of
from loadtest.report.over_time import GROUPS, over_time
from loadtest.report.requests import Requests, that_count
from loadtest.report.samples import Interval, intervals
from loadtest.report.server_side import on_run_clock
from loadtest.report.windows import cut, drawing_windows, resampling_windows
from pasarela_client.timings import STAGES, Timings
from tests.example_run import STARTED_AT, facts, records, samples, stairs, steady, timings


def record(due_s: float, took_s: float | None = 0.03, outcome: str = "done", **changes: object) -> RequestRecord:
    told = {"loop": "open", "sent_s": due_s, "done_s": None if took_s is None else due_s + took_s, **changes}
    return RequestRecord(0, "detect", "m", due_s=due_s, outcome=outcome, **told)  # type: ignore[arg-type]


def step(ends_s: float = 10.0, loop: str = "open") -> StepFacts:
    return StepFacts("load", 0.0, ends_s, loop)  # type: ignore[arg-type]


def values(requests: list[RequestRecord], *steps: StepFacts) -> dict[str, float]:
    figures = figures_of(Requests.of(requests), resampling_windows(steps or (step(),)))
    return {figure.name: figure.estimate.value for figure in figures}


@pytest.mark.parametrize(
    ("loop", "latency_ms"),
    [
        pytest.param("open", 530, id="from when it was due, whenever it was sent"),
        pytest.param("closed", 30, id="from when it was sent: nobody had asked before"),
    ],
)
def test_latency_counts_from_where_its_loop_says(loop: str, latency_ms: float) -> None:
    late = record(1.0, sent_s=1.5, done_s=1.53, loop=loop)
    assert values([late])["p50_ms"] == pytest.approx(latency_ms)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(record(1.0), {"served": 0.1, "failed": 0.0}, id="answered"),
        pytest.param(record(9.99), {"served": 0.0, "failed": 0.0}, id="answered after the load had ended"),
        pytest.param(record(1.0, outcome="late"), {"served": 0.0, "failed": 0.0, "p50_ms": 30.0},
                     id="answered late: no failure, and its latency counts"),
        pytest.param(record(1.0, outcome="late", status="DEADLINE_EXCEEDED"), {"served": 0.0, "failed": 1.0},
                     id="ended by its deadline"),
        pytest.param(record(1.0, outcome="refused", status="RESOURCE_EXHAUSTED"), {"served": 0.0, "failed": 1.0},
                     id="refused: its short time is no latency"),
        pytest.param(record(1.0, None, "lost", status=""), {"served": 0.0, "failed": 1.0}, id="lost"),
        pytest.param(record(1.0, None, "unsent", sent_s=None, status=""), {"served": 0.0, "failed": 0.0}, id="never sent"),
        pytest.param(record(1.0, outcome="left", status="CANCELLED"), {"served": 0.0, "failed": 0.0},
                     id="left on purpose is no failure"),
    ],
)  # fmt: skip
def test_what_each_end_counts_as(one: RequestRecord, expected: dict[str, float]) -> None:
    found = values([one])
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)
    if "p50_ms" not in expected and one.outcome != "done":
        assert "p50_ms" not in found


def test_the_report_says_what_the_objectives_say() -> None:
    run = facts(stairs())
    requests = records(run.steps, failing=0.05, frames=True)
    results = counted(run, requests)
    chosen = that_count(Requests.of(requests), run.steps)
    found = {
        one.name: one.estimate.value
        for one in figures_of(chosen, resampling_windows([one for one in run.steps if one.counts]))
    }
    assert len(chosen) == len(results.records)
    assert found["served"] == pytest.approx(results.per_second)
    assert found["failed"] == pytest.approx(results.count(is_unanswered) / len(results.records))
    ordered = sorted(results.latencies_ms)
    assert found["p50_ms"] == pytest.approx(ordered[math.ceil(len(ordered) / 2) - 1])


def test_the_warm_up_is_left_out() -> None:
    steps = steady(10, 20)
    requests = Requests.of(records(steps))
    chosen = that_count(requests, steps)
    assert 0 < len(chosen) < len(requests)
    assert chosen.due_s.min() >= steps[1].begins_s


def test_a_percentile_with_too_few_beyond_it_has_no_noise() -> None:
    steps = (step(20.0),)
    few = Requests.of([record(second / 10) for second in range(200)])
    found = {one.name: one.estimate for one in figures_of(few, resampling_windows(steps))}
    assert found["p50_ms"].error is not None
    assert found["p99_ms"].error is None, "two of 200 lie beyond p99"


def test_what_never_failed_may_fail_all_the_same() -> None:
    steps = (step(20.0),)
    well = Requests.of([record(second / 10) for second in range(200)])
    failed = {one.name: one.estimate for one in figures_of(well, resampling_windows(steps))}["failed"]
    assert failed.value == 0
    assert failed.error == pytest.approx(1 / 200)


def test_figures_come_in_the_order_of_the_page_and_survive_the_file() -> None:
    steps = steady()
    seen = intervals(on_run_clock(samples(33), STARTED_AT))
    found = figures_of(that_count(Requests.of(records(steps, frames=True)), steps), resampling_windows(steps[1:]), seen)
    assert [one.name for one in found] == list(KINDS)
    assert [Figure.from_json(one.to_json()).name for one in found] == list(KINDS)
    by_name = {one.name: one.estimate for one in found}
    assert by_name["cores"].value == pytest.approx(1.7, rel=0.05)
    assert by_name["memory_mb"].value == pytest.approx(310, rel=0.01)
    assert by_name["cpu_ms"].value == pytest.approx(1e3 * by_name["cores"].value / by_name["served"].value, rel=0.05)


def test_nothing_has_no_figures() -> None:
    assert figures_of(Requests.of([]), resampling_windows([step()])) == []
    assert figures_of(Requests.of([record(1.0)]), resampling_windows([])) == []


def test_windows_show_what_happened_in_them() -> None:
    requests = Requests.of(
        [record(0.2), record(0.4, 0.05), record(1.5, outcome="refused", status="RESOURCE_EXHAUSTED"), record(2.9, 0.2)]
    )
    found = over_time(requests, cut([step(4.0)], 1.0))
    assert found.offered == [2.0, 1.0, 1.0, 0.0]
    assert found.served == [2.0, 0.0, 0.0, 1.0], "counted when the answer came"
    assert found.p99_ms == [pytest.approx(50), None, pytest.approx(200), None]
    assert found.bad == {"refused: RESOURCE_EXHAUSTED": [0.0, 1.0, 0.0, 0.0]}


def test_the_groups_of_stages_take_every_stage_once_and_add_up_to_the_latency() -> None:
    grouped = [stage for stages in GROUPS.values() for stage in stages]
    assert len(grouped) == len(set(grouped))
    assert set(STAGES) <= set(grouped)
    requests = Requests.of([record(0.5, 0.030, timings=timings(20.0)), record(0.6, 0.050, timings=timings(40.0))])
    found = over_time(requests, cut([step(1.0)], 1.0))
    assert sum(values[0] or 0.0 for values in found.stages_ms.values()) == pytest.approx(40.0)


def test_stages_are_of_those_whose_server_told() -> None:
    told, silent = record(0.5, 0.030, timings=timings(20.0)), record(0.6, 0.500)
    rows = {row["stage"]: row for row in breakdown.by_stage(Requests.of([told, silent]))}
    assert rows["infer"]["mean_ms"] == pytest.approx(10.0)
    assert rows["outside"]["mean_ms"] == pytest.approx(10.0)
    assert sum(row["mean_ms"] for row in rows.values()) == pytest.approx(30.0)
    assert breakdown.by_stage(Requests.of([silent])) == []


def test_older_servers_tell_coarse_stages() -> None:
    coarse = Timings(queue_ns=1_000_000, preprocess_ns=2_000_000, infer_ns=20_000_000, postprocess_ns=1_000_000)
    rows = breakdown.by_stage(Requests.of([record(0.5, 0.030, timings=coarse)]))
    assert {row["stage"]: row["mean_ms"] for row in rows}["preprocess"] == pytest.approx(2.0)


def test_outcomes_and_faults_are_counted_by_what_went_wrong() -> None:
    requests = Requests.of(
        [
            record(0.1),
            record(3.0, outcome="refused", status="RESOURCE_EXHAUSTED", message="the queue is full"),
            record(2.0, outcome="refused", status="RESOURCE_EXHAUSTED", message="the queue is full"),
            record(4.0, outcome="failed", status="INTERNAL", message="broken"),
        ]
    )
    outcomes = breakdown.by_outcome(requests)
    assert list(outcomes) == list(OUTCOMES)
    assert (outcomes["done"], outcomes["refused"], outcomes["failed"], outcomes["late"]) == (1, 2, 1, 0)
    worst, other = breakdown.faults(requests)
    assert (worst["message"], worst["count"], worst["first_s"]) == ("the queue is full", 2, 2.0)
    assert other["status"] == "INTERNAL"


def test_frames_are_counted_apart() -> None:
    frame = {"stream": 1, "frame": 2}
    requests = Requests.of(
        [record(0.1), record(0.2, **frame), record(0.3, outcome="late", **frame), record(0.4, None, "lost", **frame)]
    )
    found = breakdown.frames(requests)
    assert found is not None
    assert (found["offered"], found["done"], found["late"], found["lost"]) == (3, 1, 1, 1)
    assert breakdown.frames(Requests.of([record(0.1)])) is None


def test_rows_are_kept_apart_by_user_and_model() -> None:
    mixed = [record(0.1), record(0.2, 0.2)]
    mixed.append(RequestRecord(0, "stream", "other", "open", 0.3, "done", 0.3, 0.4))
    rows = breakdown.by_kind(Requests.of(mixed), [step(1.0)], Requests.of(mixed))
    assert [(row["user"], row["model"], row["requests"], row["per_second"]) for row in rows] == [
        ("detect", "m", 2, 2.0),
        ("stream", "other", 1, 1.0),
    ]
    assert rows[0]["max_ms"] == pytest.approx(200)


def test_answers_that_were_asked_for_in_the_warm_up_count_where_they_came() -> None:
    before, inside = record(0.8, done_s=1.2), record(1.5)
    windows = resampling_windows([StepFacts("counts", 1.0, 2.0, "open", 2, 2)])
    figures = figures_of(Requests.of([inside]), windows, (), Requests.of([before, inside]))
    (served,) = (one.estimate.value for one in figures if one.name == "served")
    assert served == 2.0


def test_what_the_server_spent_on_answers_is_divided_by_all_that_came() -> None:
    """Also by those that were asked for in the step before: after an overload they are many."""
    step = StepFacts("counts", 1.0, 2.0, "open", 2, 2)
    before, inside = record(0.8, done_s=1.2), record(1.5)
    busy = [Interval(1.0, 2.0, 0.5, 1_000_000, None, None, None, None)]
    figures = figures_of(Requests.of([inside]), cut([step], 1.0), busy, Requests.of([before, inside]))
    (spent,) = (one.estimate.value for one in figures if one.name == "cpu_ms")
    assert spent == pytest.approx(250)


def test_the_generators_lag_is_that_of_open_requests() -> None:
    assert breakdown.generator_lag_ms(Requests.of([record(1.0, sent_s=1.25)])) == pytest.approx(250)
    assert breakdown.generator_lag_ms(Requests.of([record(1.0, sent_s=1.25, loop="closed")])) is None


def test_records_of_any_order_become_columns_in_order() -> None:
    requests = records(steady(5, 20))
    there, back = Requests.of(requests), Requests.of(requests[::-1])
    assert there.due_s.tolist() == back.due_s.tolist() == sorted(there.due_s.tolist())
    assert drawing_windows(steady(5, 20)).counts(there.due_s).sum() == len(requests)
