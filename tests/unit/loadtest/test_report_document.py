"""The report as JSON: whole, without what JSON has no word for, and told apart by its schema."""

import json
from pathlib import Path

import pytest

from loadtest.report.document import SCHEMA, NoReport, build, read_document, write_document
from loadtest.report.generator import LIMIT_FILE, NEAR, GeneratorLimit, beside_limit
from tests.example_run import facts, knee, met_and_missed, records, samples, stairs, steady

LIMIT = GeneratorLimit(100.0, 16, 1, 3.0, ("detect",), "2026-11-26")


def test_a_report_holds_everything_and_is_plain_json() -> None:
    steps = steady()
    run = facts(steps, objectives=met_and_missed(), findings=knee())
    document = build(run, records(steps, failing=0.02, frames=True), samples(33), LIMIT)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["schema"] == SCHEMA
    assert document["requests"]["all"] > document["requests"]["counted"] > 0
    assert [one["name"] for one in document["objectives"]] == ["p99_ms", "failed"]
    assert document["findings"][0]["value"] == 40.0
    assert document["started_at"] == "2026-11-18T11:06:40+00:00"
    assert document["conditions"]["cpu"] == "Example 9000"
    assert document["scenario"] == dict(run.scenario)
    assert {one["outcome"] for one in document["faults"]} == {"late", "refused"}
    assert document["server"]["closed"] == {"alone": pytest.approx(40 * 33)}


@pytest.mark.parametrize(
    ("changes", "requests"),
    [
        pytest.param({}, [], id="no request at all"),
        pytest.param({"cut_short": True, "ended_s": 1.5}, None, id="cut short in the warm-up"),
        pytest.param({"cut_short": True, "ended_s": 3.2}, None, id="cut short right after it"),
        pytest.param({"conditions": {}, "scenario": {}}, None, id="nothing told of the machine"),
    ],
)
def test_runs_that_hardly_were_have_reports(changes: dict, requests: list | None) -> None:
    steps = steady()
    run = facts(steps, **changes)
    made = records(steps) if requests is None else requests
    document = build(run, [one for one in made if one.due_s < run.ended_s])
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_steps_that_never_began_are_left_out_of_a_run_that_was_cut_short() -> None:
    steps = stairs()
    document = build(facts(steps, cut_short=True, ended_s=17.0), [one for one in records(steps) if one.due_s < 17])
    assert [step["name"] for step in document["steps"]] == ["10/s", "20/s", "30/s"]
    assert document["steps"][-1]["ends_s"] == 17.0
    assert document["counted_s"] == 15.0


def test_each_step_has_its_own_figures() -> None:
    document = build(facts(stairs()), records(stairs(), capacity=38))
    rates = [step["per_second"] for step in document["steps"]]
    assert rates[:3] == pytest.approx([10, 20, 30], rel=0.35)
    slow, fast = document["steps"][-1], document["steps"][0]
    assert slow["p99_ms"] > 5 * fast["p99_ms"], "the last rate is beyond what the server carries"
    assert {figure["name"] for figure in fast["figures"]} >= {"served", "p50_ms", "p99_ms", "failed"}


@pytest.mark.parametrize(
    ("limit", "busiest", "share", "warning"),
    [
        pytest.param(LIMIT, 30.0, 0.3, False, id="far from it"),
        pytest.param(LIMIT, 100 * NEAR, NEAR, True, id="near it"),
        pytest.param(None, 30.0, None, False, id="not measured"),
        pytest.param(LIMIT, None, None, False, id="nothing was sent"),
    ],
)
def test_the_generators_limit_stands_beside_what_was_asked_of_it(
    limit: GeneratorLimit | None, busiest: float | None, share: float | None, warning: bool
) -> None:
    beside = beside_limit(limit, busiest, None, 0)
    assert (beside["share"], beside["warning"]) == (share, warning)


def test_what_was_asked_of_the_generator_is_the_busiest_step() -> None:
    document = build(facts(stairs()), records(stairs()), limit=LIMIT)
    assert document["generator"]["busiest_per_second"] == pytest.approx(50, rel=0.2)
    assert document["generator"]["share"] == pytest.approx(0.5, rel=0.2)


def test_limits_survive_the_file(tmp_path: Path) -> None:
    assert GeneratorLimit.read(tmp_path) is None
    LIMIT.write(tmp_path)
    assert GeneratorLimit.read(tmp_path) == LIMIT
    (tmp_path / LIMIT_FILE).write_text('{"per_second": 3}')
    with pytest.raises(ValueError, match="does not hold the limit"):
        GeneratorLimit.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "makes it where a run left its records", id="there is none"),
        pytest.param("{", "cannot be read as a report", id="no JSON"),
        pytest.param("[]", "has schema none", id="something else"),
        pytest.param('{"schema": 99}', r"has schema 99, this version reads 1; make it again with", id="a later one"),
    ],
)
def test_an_earlier_report_that_cannot_be_read_says_what_to_do(
    content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(NoReport, match=message):
        read_document(tmp_path)


def test_a_report_is_found_by_its_folder_or_its_file(tmp_path: Path) -> None:
    document = build(facts(steady()), records(steady()))
    path = write_document(document, tmp_path)
    assert read_document(tmp_path) == read_document(path) == document
    assert [one.name for one in tmp_path.iterdir()] == ["report.json"], "nothing half-written is left"
