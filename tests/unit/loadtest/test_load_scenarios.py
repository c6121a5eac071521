"""Scenario files: what is read, and what is said of what cannot be."""

from pathlib import Path

import pytest

from loadtest.plan.fixed import fixed_steps
from loadtest.scenario import (
    Bound,
    BurstLoad,
    ClosedLoad,
    KneeLoad,
    OpenLoad,
    ScenarioError,
    StreamRequests,
    load_scenario,
    scenario_names,
)
from loadtest.scenario.read import parse_scenario
from loadtest.scenario.values import format_duration, parse_duration

GOOD = """\
title: Is it well?
requests:
  - {user: detect, model: garments}
load:
  kind: open
  rate: 20
  duration: 1m30s
objectives:
  p99_ms: 120
  failed: 0.1%
  throughput: ">= 18"
"""


def read(tmp_path: Path, text: str, *overrides: str) -> object:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return load_scenario(path, overrides)[0]


def test_a_scenario_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    scenario, document = load_scenario(path)
    assert scenario.load == OpenLoad(kind="open", rate=20, duration=90)
    assert scenario.objectives.p99_ms == Bound("<=", 120)
    assert scenario.objectives.failed == Bound("<=", 0.001, percent=True)
    assert scenario.objectives.throughput == Bound(">=", 18)
    assert scenario.models == ("garments",)
    assert document["load"]["duration"] == "1m30s"
    assert parse_scenario(document, "s") == scenario


def test_overrides_replace_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    overrides = ("load.rate=7.5", "load.duration=5s", "requests.0.model=hats", "objectives.p50_ms=40", "finish=1s")
    scenario, document = load_scenario(path, overrides)
    assert (scenario.load.rate, scenario.load.duration) == (7.5, 5.0)  # type: ignore[union-attr]
    assert scenario.models == ("hats",)
    assert scenario.objectives.p50_ms == Bound("<=", 40)
    assert scenario.finish == 1.0
    assert document["finish"] == "1s"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        # reason: the key that is missing, at the section where it belongs
        ("  rate: 20\n", "", ":4: load.rate: is missing and has no default"),
        # reason: a typing error is named, with what was probably meant
        ("rate: 20", "rat: 20", ":6: load.rat: is not a key here (did you mean rate?)"),
        ("p99_ms", "p99", ":9: objectives.p99: is not a key here (did you mean p99_ms?)"),
        ("title", "titel", ":1: titel: is not a key here (did you mean title?)"),
        # reason: kinds and users are words of a list
        ("kind: open", "kind: opne", ":5: load.kind: expected one of closed, open, steps, ramp, burst, find-rate, knee, got 'opne' (did you mean open?)"),
        ("user: detect", "user: detector", ":3: requests.0.user: expected one of detect, raw, stream, slow, leaver, got 'detector' (did you mean detect?)"),
        ("  kind: open\n", "", ":4: load.kind: is missing; expected one of closed,"),
        # reason: values say what was expected, and what stands there
        ("rate: 20", "rate: 0", ":6: load.rate: expected greater than 0, got 0"),
        ("rate: 20", "rate: many", ":6: load.rate: expected a valid number, unable to parse string as a number, got 'many'"),
        ("1m30s", "a while", ":7: load.duration: expected a time such as 45s, 5m or 1h30m, got 'a while'"),
        ("1m30s", "10ms", ":7: load.duration: expected greater than or equal to 1, got '10ms'"),
        ("120", "fast", ":9: objectives.p99_ms: expected a number, with <= before it or not"),
        ("120", '">= 120"', ":9: objectives.p99_ms: expected <=, such as \"<= 120\": the other way round it would say nothing"),
        ("120", "12%", ":9: objectives.p99_ms: expected a number without %"),
        ("0.1%", "5", ":10: objectives.failed: expected a share with its %"),
        ("0.1%", "150%", ":10: objectives.failed: expected at most 100%"),
        # reason: sections that are none
        ("load:\n  kind: open\n  rate: 20\n  duration: 1m30s", "load: open", ":4: load: expected keys below it, such as"),
        ("requests:\n  - {user: detect, model: garments}", "requests: []", ":2: requests: expected"),
        # reason: what fits by itself, and not together
        ("user: detect", "user: stream", ":2: requests: stream paces itself, so it goes with kind: closed"),
        ("p99_ms: 120", "knee: 20", ":9: objectives.knee: only kind: knee finds one, this is kind: open"),
        ("user: detect", "user: stream, tell_deadline: true", ":3: requests.0.tell_deadline: there is no deadline to tell"),
        # reason: one of the two would be lost silently
        ("  rate: 20\n", "  rate: 20\n  rate: 30\n", ":7: not valid YAML: load.rate stands here a second time"),
        ("title:", "title: [", ":1: not valid YAML:"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as raised:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert f"{tmp_path / 's.yaml'}{told}" in str(raised.value)


def test_every_fault_has_a_line(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as raised:
        read(tmp_path, GOOD.replace("rate: 20", "rate: -1").replace("120", "soon").replace("title", "name"))
    lines = str(raised.value).splitlines()
    assert len(lines) == 4  # title is missing, name is unknown
    assert all(line.startswith(str(tmp_path / "s.yaml")) for line in lines)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("load.rate", "--set load.rate: expected KEY=VALUE"),
        ("load.rate=-5", "--set load.rate=-5: load.rate: expected greater than 0, got -5"),
        ("load.rate.fast=1", "--set load.rate.fast=1: there is nothing below rate"),
        ("requests.3.model=x", "--set requests.3.model=x: there is nothing below 3"),
        ("load.rate=[", "--set load.rate=[: the value is not valid YAML"),
        ("laod.rate=5", "laod: is not a key here (did you mean load?)"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, told: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        read(tmp_path, GOOD, override)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected keys such as title"),
        ("- 1\n", "expected keys"),
        ("a: \x00", "not valid YAML"),
        (b"\xff", "cannot be read"),
    ],
    ids=["empty", "a list", "no text", "no UTF-8"],
)
def test_a_file_that_is_no_scenario(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError, match=told):
        load_scenario(path)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ScenarioError, match=r"^nothing\.yaml: there is no such file; --list"):
        load_scenario("nothing.yaml")


@pytest.mark.parametrize("name", scenario_names())
def test_shipped_scenarios_can_be_run(name: str) -> None:
    scenario, _ = load_scenario(name)
    assert scenario.title.endswith("?")
    assert scenario.server.repository == "model_repository"


def test_all_kinds_of_loads_and_users_are_shown_by_a_shipped_scenario() -> None:
    scenarios = [load_scenario(name)[0] for name in scenario_names()]
    assert {scenario.load.kind for scenario in scenarios} == {
        "closed",
        "open",
        "steps",
        "ramp",
        "burst",
        "find-rate",
        "knee",
    }
    assert {entry.user for scenario in scenarios for entry in scenario.requests} == {
        "detect",
        "raw",
        "stream",
        "slow",
        "leaver",
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("5m", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1m 30s", 90),
        ("2.5s", 2.5),
        (7, 7),
        ("7", 7),
        (0, 0),
    ],
)
def test_times_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5 parsecs", "-5s", -1, True, None, "1e999", float("nan"), []])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["45s", "5m", "1h30m", "250ms", "2.5s", "1h"])
def test_times_are_shown_as_they_were_written(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("bound", "got", "holds"),
    [
        (Bound("<=", 120), 120.0, True),  # reason: the limit itself is allowed
        (Bound("<=", 120), 120.1, False),
        (Bound(">=", 25), 25.0, True),
        (Bound(">=", 25), 24.9, False),
    ],
)
def test_bounds(bound: Bound, got: float, holds: bool) -> None:
    assert bound.holds(got) is holds


def test_bounds_are_shown_as_they_are_written() -> None:
    assert str(Bound("<=", 0.001, percent=True)) == "<= 0.1%"
    assert Bound("<=", 0.001, percent=True).show(0.0123) == "1.23%"
    assert str(Bound(">=", 25)) == ">= 25"


def test_a_burst_needs_time_to_calm_down() -> None:
    with pytest.raises(ValueError, match="every: expected at least a second more"):
        BurstLoad(kind="burst", rate=1, burst_rate=9, burst=5, every=5)


def test_sections_are_frozen() -> None:
    with pytest.raises(AttributeError):
        ClosedLoad(kind="closed").users = 5  # type: ignore[misc]
    assert hash(StreamRequests(user="stream")) == hash(StreamRequests(user="stream"))


def test_the_steps_of_a_search_are_not_known_before() -> None:
    with pytest.raises(TypeError, match="follow from what is measured"):
        fixed_steps(KneeLoad(kind="knee"))
