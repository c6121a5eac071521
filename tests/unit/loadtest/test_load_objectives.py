"""Whether objectives were met, and the tables that tell it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.exit_codes import exit_code
from loadtest.objectives import counted, judge, judged
from loadtest.records import Finding, ObjectiveResult, RequestRecord, RunFacts, StepFacts, request_file, write_records
from loadtest.scenario.read import parse_scenario
from loadtest.summary import describe_run

SCENARIO: dict[str, Any] = {
    "title": "Is it well?",
    "requests": [{"user": "detect", "model": "m"}],
    "load": {"kind": "open", "rate": 10, "duration": 10},
}
FACTS = RunFacts(
    scenario=SCENARIO,
    name="s",
    title="Is it well?",
    models=("m",),
    started_at=0,
    ended_s=16,
    warm_up_s=5,
    steps=(StepFacts("warm-up", 0, 5, "open", 10, 10, counts=False), StepFacts("10/s", 5, 15, "open", 10, 10)),
    workers=1,
    seeds=(1,),
    url="127.0.0.1:8001",
)


def request(number: int, outcome: str = "done", wait_s: float | None = 0.1, **fields: Any) -> RequestRecord:
    due_s = 5 + number / 10
    done_s = None if wait_s is None else due_s + wait_s
    return RequestRecord(1, "detect", "m", "open", due_s, outcome, due_s, done_s, **fields)  # type: ignore[arg-type]


def result(objective: str, value: Any, records: list[RequestRecord], facts: RunFacts = FACTS) -> ObjectiveResult:
    kind = {"rate": "find-rate", "knee": "knee"}.get(objective)
    load = {"kind": kind, **({"limit_ms": 9} if kind == "find-rate" else {})} if kind else SCENARIO["load"]
    objectives = parse_scenario({**SCENARIO, "load": load, "objectives": {objective: value}}, "s").objectives
    judgements = {one.name: one for one in judge(objectives, facts, counted(facts, records))}
    return judgements[objective]


HUNDRED = [request(number, wait_s=0.001 * (number + 1)) for number in range(100)]
LOST = [request(number, "lost", None) for number in range(50)]


@pytest.mark.parametrize(
    ("objective", "value", "records", "got", "met"),
    [
        ("p50_ms", 50.1, HUNDRED, "50", True),  # reason: nearest rank: half of them took 50 ms at most
        ("p99_ms", 98.9, HUNDRED, "99", False),
        ("max_ms", 100.1, HUNDRED, "100", True),
        ("p99_ms", 9999, LOST, "–", False),  # reason: no answer is no good answer
        ("p99_ms", 9999, [], "–", False),  # reason: nothing measured, nothing met
        # reason: an answer after its deadline took as long as it took
        ("max_ms", 500, [request(0, "late", 0.7)], "700", False),
        # reason: what the deadline ended has no latency, and counts as failed
        ("failed", "10%", [request(0, "late", 0.7, status="DEADLINE_EXCEEDED"), *HUNDRED], "0.99%", True),
        ("failed", "1%", [*HUNDRED[:98], request(98, "refused"), request(99, "failed")], "2%", False),
        ("failed", 0, [*HUNDRED, request(1, "left"), request(2, "late")], "0%", True),  # reason: neither is a failure
        ("refused", "1%", [*HUNDRED[:99], request(99, "refused")], "1%", True),
        ("unsent", "0%", [*HUNDRED[:99], request(99, "unsent", None)], "1%", False),
        ("late_frames", "1%", [request(0, stream=0), request(1, "late", stream=0), *HUNDRED], "50%", False),
        ("late_frames", "1%", HUNDRED, "–", False),  # reason: there were no frames
        ("throughput", 9, [*HUNDRED[:90], *LOST], "9", True),
        # reason: what is answered after the load has ended shows that the server did not keep up
        ("throughput", 9, [request(number, wait_s=20) for number in range(100)], "0", False),
    ],
)
def test_objectives_are_judged_by_what_counts(
    objective: str, value: Any, records: list[RequestRecord], got: str, met: bool
) -> None:
    judgement = result(objective, value, records)
    assert (judgement.got, judgement.met) == (got, met)


def test_the_warm_up_counts_for_nothing() -> None:
    early = [replace(record, step=0, due_s=record.due_s - 5, outcome="failed") for record in HUNDRED]
    assert result("failed", 0, [*early, *HUNDRED]).met


def test_answers_that_were_asked_for_before_count_for_the_throughput() -> None:
    """A server whose answers take a second gives as many a second as any other."""
    before = [replace(request(number - 10, wait_s=1), step=0) for number in range(10)]
    assert result("throughput", 10, [*before, *(request(number, wait_s=1) for number in range(100))]).got == "10"


@pytest.mark.parametrize(
    ("value", "got", "met"),
    [(25.0, "25", True), (19.0, "19", False), (None, "–", False)],
    ids=["found", "too low", "none found"],
)
@pytest.mark.parametrize("objective", ["rate", "knee"])
def test_findings_may_be_objectives(objective: str, value: float | None, got: str, met: bool) -> None:
    judgement = result(objective, 20, HUNDRED, replace(FACTS, findings=(Finding(objective, value, "/s"),)))
    assert (judgement.wanted, judgement.got, judgement.met) == (">= 20", got, met)


def left(folder: Path, facts: RunFacts, records: list[RequestRecord]) -> None:
    with request_file(folder, 0).open("w") as file:
        write_records(file, records)
    judged_facts = judged(folder, facts)
    judged_facts.write(folder)


def test_no_objective_is_needed_for_failures_to_be_told(tmp_path: Path) -> None:
    left(tmp_path, FACTS, [*HUNDRED[:99], request(99, "failed")])
    assert RunFacts.read(tmp_path).objectives == (ObjectiveResult("failed", "<= 0%", "1%", met=False),)


def test_a_run_is_described_for_the_terminal(tmp_path: Path) -> None:
    records = [*HUNDRED[:97], request(97, "refused"), request(98, "unsent", None), request(99, "left")]
    findings = (Finding("rate", 24.123, "/s", 24.1, 25.0, "why"), Finding("knee", None, "/s", explanation="why not"))
    left(tmp_path, replace(FACTS, cut_short=True, findings=findings), records)
    lines = describe_run(tmp_path).splitlines()
    assert lines[0].split() == [
        *("request", "answered", "failed", "per", "second", "p50", "ms", "p95", "ms", "p99", "ms"),
        *("refused", "unsent", "left"),
    ]
    assert lines[1].split() == ["Detect", "m", "97", "1", "9.7", "49", "93", "97", "1", "1", "1"]
    assert "  rate: 24.1/s (between 24.1 and 25); why" in lines
    assert "  knee: none found; why not" in lines
    assert any(line.split() == ["✗", "failed", "<=", "0%", "1%"] for line in lines)
    assert "cut short" in lines[-1]


def test_steps_have_a_table_of_their_own(tmp_path: Path) -> None:
    steps = (StepFacts("10/s", 5, 10, "open", 10, 10), StepFacts("20/s", 10, 15, "open", 20, 20))
    records = [replace(record, step=int(record.due_s >= 10)) for record in HUNDRED]
    left(tmp_path, replace(FACTS, steps=steps), records)
    rows = [line.split()[:2] for line in describe_run(tmp_path).splitlines()]
    assert ["10/s", "50"] in rows
    assert ["20/s", "50"] in rows


def test_a_run_without_requests_says_so(tmp_path: Path) -> None:
    FACTS.write(tmp_path)
    assert "no request belongs to the results" in describe_run(tmp_path)


def test_a_run_that_could_not_be_kept_failed() -> None:
    assert exit_code(replace(FACTS, cut_short=True, fault="no space left")) == 1


@pytest.mark.parametrize(
    ("missed", "cut_short", "code"),
    [
        ((), False, 0),
        (("failed",), False, 1),
        (("p99_ms", "failed"), False, 1),  # reason: what is broken matters more than what is slow
        (("p99_ms",), False, 4),
        (("late_frames",), False, 4),
        (("p99_ms",), True, 130),  # reason: nobody waited for the end
    ],
)
def test_the_exit_code_tells_broken_from_slow(missed: tuple[str, ...], cut_short: bool, code: int) -> None:
    objectives = tuple(
        ObjectiveResult(name, "<= 1", "2", met=name not in missed) for name in ("p99_ms", "late_frames", "failed")
    )
    assert exit_code(replace(FACTS, objectives=objectives, cut_short=cut_short)) == code


SEARCHES = {"rate": {"kind": "find-rate", "limit_ms": 9}, "knee": {"kind": "knee"}}


@pytest.mark.parametrize(
    ("value", "objectives", "records", "missed", "code"),
    [
        pytest.param(25.0, {}, HUNDRED, [], 0, id="what was looked for is there"),
        pytest.param(None, {}, HUNDRED, ["> 0"], 4, id="no rate, though every request was answered"),
        pytest.param(None, {"failed": "1%"}, [*HUNDRED, request(0, "failed")], ["> 0"], 4, id="as few failed as may"),
        pytest.param(None, {}, LOST, ["<= 0%", "> 0"], 1, id="even the lowest rate is not answered"),
        pytest.param(None, {}, [], ["<= 0%", "> 0"], 1, id="none was made"),
    ],
)
@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_is_to_find_something(
    name: str, value: float | None, objectives: dict[str, Any], records: list[RequestRecord], missed: list[str], code: int,
    tmp_path: Path,
) -> None:  # fmt: skip
    scenario = {**SCENARIO, "load": SEARCHES[name], "objectives": objectives}
    left(tmp_path, replace(FACTS, scenario=scenario, findings=(Finding(name, value, "/s"),)), records)
    facts = RunFacts.read(tmp_path)
    assert [one.wanted for one in facts.objectives if not one.met] == missed
    assert exit_code(facts) == code


def test_an_objective_that_is_set_is_told_once() -> None:
    facts = replace(FACTS, scenario={**SCENARIO, "load": SEARCHES["knee"]}, findings=(Finding("knee", None, "/s"),))
    assert result("knee", 20, HUNDRED, facts) == ObjectiveResult("knee", ">= 20", "–", met=False)
    objectives = parse_scenario({**facts.scenario, "objectives": {"knee": 20}}, "s").objectives
    assert [one.name for one in judge(objectives, facts, counted(facts, HUNDRED))] == ["failed", "knee"]


def test_steps_that_do_not_show_the_knee_are_no_search_that_failed() -> None:
    facts = replace(FACTS, findings=(Finding("knee", None, "/s", high=10),))
    assert result("failed", 0, HUNDRED, facts).met
    assert len(judge(parse_scenario(SCENARIO, "s").objectives, facts, counted(facts, HUNDRED))) == 1
