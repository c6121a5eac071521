"""What changed since an earlier run: marked only beyond the noise, and told what else differs."""

import pytest

from loadtest.records import Finding
from loadtest.report.comparison import SEARCHED, WHOLE, compare
from loadtest.report.document import build
from tests.example_run import CONDITIONS, facts, records, samples, stairs, steady


def report(seed: int, scale: float = 1.0, failing: float = 0.0, cores: float = 1.7, **changes: object) -> dict:
    steps = steady(40, 30)
    made = records(steps, seed=seed, scale=scale, failing=failing)
    return build(facts(steps, **changes), made, samples(43, cores=cores))


def changes(old: dict, new: dict, scope: str = WHOLE) -> dict[str, dict]:
    return {one["label"]: one for one in compare(old, new)["changes"] if one["scope"] == scope}


def test_two_runs_that_are_alike_are_not_marked() -> None:
    found = changes(report(1), report(2))
    assert {"Throughput", "p50 latency", "p99 latency", "Failed", "Server memory"} <= set(found)
    assert [one["label"] for one in found.values() if one["marked"]] == []


def test_a_slower_run_is_marked_as_worse_and_the_other_way_round_as_better() -> None:
    fast, slow = report(1), report(2, 1.2)
    there, back = changes(fast, slow), changes(slow, fast)
    for label in ("p50 latency", "p95 latency"):
        assert (there[label]["marked"], there[label]["better"]) == (True, False)
        assert (back[label]["marked"], back[label]["better"]) == (True, True)
        assert there[label]["change"] == pytest.approx(0.2, abs=0.08)
        assert there[label]["low"] <= 0.2 <= there[label]["high"]
    assert not there["Throughput"]["marked"]


def test_failures_are_compared_in_points() -> None:
    found = changes(report(1), report(2, failing=0.05))["Failed"]
    assert (found["marked"], found["better"], found["unit"]) == (True, False, "share")
    assert found["change"] == pytest.approx(0.05, abs=0.02)


def test_what_is_neither_better_nor_worse_is_only_marked() -> None:
    old, new = report(1), report(2)
    for document, value in ((old, 1.0), (new, 1.5)):
        for figure in document["headline"]:
            if figure["name"] == "cores":
                figure |= {"value": value, "error": 0.01, "freedom": 29}
    found = changes(old, new)["Server CPU"]
    assert (found["marked"], found["better"]) == (True, None)


def test_steps_are_compared_with_steps_of_the_same_name() -> None:
    old = build(facts(stairs()), records(stairs(), seed=1))
    new = build(facts(stairs((10, 20, 35))), records(stairs((10, 20, 35)), seed=2))
    scopes = {one["scope"] for one in compare(old, new)["changes"]}
    assert scopes == {WHOLE, "10/s", "20/s"}


@pytest.mark.parametrize(
    ("old", "new", "marked", "better"),
    [
        pytest.param((40, 38, 42), (50, 47, 53), True, True, id="apart"),
        pytest.param((40, 38, 42), (41, 39, 43), False, None, id="they overlap"),
        pytest.param((40, 39, 41), (30, 29, 31), True, False, id="fewer"),
        pytest.param((40, None, None), (60, 55, 65), False, None, id="where it lay is not known"),
        pytest.param((40, 39.9, 40.1), (41, 40.9, 41.1), False, None, id="apart, but below the floor"),
    ],
)
def test_what_was_searched_for_is_compared_by_where_it_lies(
    old: tuple, new: tuple, marked: bool, better: bool | None
) -> None:
    def found(value: float, low: float | None, high: float | None) -> dict:
        return report(1, findings=(Finding("rate", value, "/s", low, high),))

    one = changes(found(*old), found(*new), SEARCHED)["rate"]
    assert (one["marked"], one["better"]) == (marked, better)


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        pytest.param({"name": "other"}, "the scenario was steady, now other", id="another scenario"),
        pytest.param({"scenario": {"arrivals": {"rate": 40}}}, "the scenario differs in arrivals, title", id="changed"),
        pytest.param({"models": ("garments_int8",)}, "asked was garments, now garments_int8", id="another model"),
        pytest.param({"conditions": CONDITIONS | {"cores": 4}}, "cores was 2, now 4", id="another machine"),
        pytest.param(
            {"conditions": CONDITIONS | {"packages": {"grpcio": "2"}}},
            "grpcio was 1.85.1, now 2",
            id="another version",
        ),
        pytest.param({"cut_short": True}, "this run was cut short", id="not whole"),
    ],
)
def test_what_is_not_alike_is_told(difference: dict, told: str) -> None:
    assert told in compare(report(1), report(2, **difference))["not_alike"]


def test_how_busy_the_machine_was_before_is_no_difference() -> None:
    assert compare(report(1), report(2, conditions=CONDITIONS | {"busy_before": 0.4}))["not_alike"] == []


def test_figures_of_other_versions_are_passed_over() -> None:
    old, new = report(1), report(2)
    old["headline"].append({"name": "joules", "value": 1.0})
    new["headline"].append({"name": "joules", "value": 2.0})
    assert "joules" not in changes(old, new)
