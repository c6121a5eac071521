"""The page and the picture."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pasarela_server.tuning.candidate import BASELINE, Candidate, Merge
from pasarela_server.tuning.halving import Verdict
from pasarela_server.tuning.measurement import Point
from pasarela_server.tuning.picture import Curve, draw
from pasarela_server.tuning.report import Report
from pasarela_server.tuning.search import Found
from pasarela_server.tuning.subject import Subject
from pasarela_server.tuning.wording import clock, describe, duration, milliseconds
from tests.unit.server.tuning.tuned import subject

ONE = Candidate(instances=1)
CONDITIONS = {"hardware": {"cpu": "AMD EPYC", "gpus": []}}


def point(clients: int, throughput: float, p99_ms: float) -> Point:
    return Point(clients, throughput, p99_ms / 2, p99_ms, 12.0, 100, 250.0)


MEASURED = {
    BASELINE: (point(1, 20.0, 60.0), point(4, 40.0, 110.0)),
    ONE: (point(1, 35.0, 40.0), point(4, 50.0, 90.0)),
    Candidate(instances=2, merge=Merge()): (point(4, 30.0, math.inf),),
}


def report(found: Found, **changes: Any) -> Report:
    usual: dict[str, Any] = {
        "model": "m",
        "subject": subject(),
        "conditions": CONDITIONS,
        "target_ms": None,
        "found": found,
        "remarks": ["something was left out"],
        "before": 'backend: "openvino"\n',
        "after": 'backend: "openvino"\ninstance_group { count: 1 }\n',
    }
    return Report(**{**usual, **changes})


MERGED = Candidate(instances=2, merge=Merge())
WON = Found(
    Verdict(ONE, "better", {ONE: (1.2, 1.3, 1.25)}),
    MEASURED,
    {Candidate(instances=9): "no memory"},
    {ONE: (2, 1.2), MERGED: (1, 0.75)},
    (40.0, 45.0),
)


def test_the_page_says_by_how_much() -> None:
    page = report(WON).page()

    assert (
        "**1 instance of 2 threads: 1.25 times as much as the configuration as it is, 1.20 to 1.30 in 3 repeats; "
        "50.0 a second, p99 90.0 ms.**"
    ) in page
    assert "| **1 instance of 2 threads** | 4 | 50.0 | 45.0 | 90.0 | 12.0 | 250 | 1.25 (1.20–1.30) |" in page
    assert "| as it is (2 instances of 1 thread) | 4 | 40.0 | 55.0 | 110.0 | 12.0 | 250 | 1 |" in page
    assert (
        "| 2 instances of 1 thread, merged up to 8 rows | 4 | 30.0 | refused | refused | 12.0 | 250 | 0.75, round 1 |"
        in page
    )
    assert "- 9 instances of 1 thread: no memory" in page
    assert "- something was left out" in page


def test_a_machine_that_did_other_work_is_told() -> None:
    assert "other work" not in report(WON).page()
    unsteady = report(replace(WON, swing=(10.0, 31.0))).page()
    assert "the configuration as it is gave 10.0 to 31.0 images a second: the machine did other work" in unsteady


def test_what_misses_the_target_is_shown_at_its_lowest_latency() -> None:
    assert (
        "| as it is (2 instances of 1 thread) | 1 | 20.0 | 30.0 | 60.0 (too slow) |"
        in report(WON, target_ms=50.0).page()
    )


def test_the_frontier_leaves_out_what_is_beaten() -> None:
    lines = report(WON).page().split("everything measured:")[1].splitlines()
    assert [line for line in lines if line.startswith(("| 4", "| 9"))] == [
        "| 40.0 | 35.0 | 1 | 1 instance of 2 threads |",
        "| 90.0 | 50.0 | 4 | 1 instance of 2 threads |",
    ]
    assert not any("110.0" in line for line in lines)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Found(Verdict(BASELINE, "nothing was better"), MEASURED), "stays as it is: nothing was better."),
        (Found(None, MEASURED), "stays as it is: nothing came near it."),
        (Found(None, {BASELINE: MEASURED[BASELINE]}), "stays as it is: there was nothing else to try."),
    ],
)
def test_why_nothing_changes(found: Found, said: str) -> None:
    assert said in report(found).gain()


@pytest.mark.parametrize(("target_ms", "reached"), [(None, True), (100.0, True), (40.0, True), (39.0, False)])
def test_whether_the_target_is_reached(target_ms: float | None, reached: bool) -> None:
    told = report(WON, target_ms=target_ms)
    assert told.reached is reached
    assert told.lowest_ms == 40.0


def test_the_change_is_shown_as_a_diff() -> None:
    assert report(WON).diff("m/config.pbtxt") == (
        "--- a/m/config.pbtxt\n+++ b/m/config.pbtxt\n@@ -1 +1,2 @@\n"
        ' backend: "openvino"\n+instance_group { count: 1 }\n'
    )
    assert report(WON, after='backend: "openvino"\n').diff("m/config.pbtxt") == ""


def test_the_outcome_is_json_that_anybody_reads() -> None:
    outcome = json.loads(json.dumps(report(WON).outcome(), allow_nan=False))

    assert outcome["choice"] == {"instances": 1}
    assert outcome["ratios"] == [{"candidate": {"instances": 1}, "to_baseline": [1.2, 1.3, 1.25]}]
    assert len(outcome["points"]) == 3


WORDS = [
    (BASELINE, subject(), "2 instances of 1 thread"),
    (ONE, subject(cores=6), "1 instance of 6 threads"),
    (Candidate(merge=Merge()), subject(max_batch_size=4), "2 instances of 1 thread, merged up to 4 rows"),
    (
        Candidate(instances=1, max_batch_size=64, merge=Merge(delay_us=2000), precision="f16"),
        subject(on_gpu=True),
        "1 instance, merged up to 64 rows, waiting 2ms, f16",
    ),
    (Candidate(instances=0), subject(cores=4), "4 instances of 1 thread"),
]


@pytest.mark.parametrize(("candidate", "of", "words"), WORDS)
def test_candidates_in_words(candidate: Candidate, of: Subject, words: str) -> None:
    assert describe(candidate, of) == words


def test_figures_in_words() -> None:
    assert [duration(each) for each in (0.002, 1.5)] == ["2ms", "1.5s"]
    assert [clock(each) for each in (0.9, 65, 605.5)] == ["0:00", "1:05", "10:05"]
    assert [milliseconds(each) for each in (0.1234, 12.34, math.inf)] == ["0.12", "12.3", "refused"]


SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_holds_every_point_that_can_be_drawn() -> None:
    curves = [
        Curve("as it is <now>", MEASURED[BASELINE], is_baseline=True),
        Curve("one & only", MEASURED[ONE], is_choice=True),
        Curve("refuses", (point(4, 30.0, math.inf),)),
    ]
    picture = ET.fromstring(draw("m: a < b", curves, "images", 100.0))

    titles = [each.text or "" for each in picture.iter(f"{SVG}title")]
    assert titles[0] == "m: a < b"
    assert "as it is <now>: 4 clients, 40.0 a second, p99 110.0 ms" in titles
    assert len(titles) == 1 + 4
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    assert "target 100 ms" in texts
    assert "one & only – the choice" in texts
    rings = [each for each in picture.iter(f"{SVG}circle") if each.get("fill") == "none"]
    assert len(rings) == 2
    places = [float(each.get(side, "nan")) for each in picture.iter(f"{SVG}circle") for side in ("cx", "cy")]
    assert all(0 <= place <= 860 for place in places)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ((), "nothing was measured"),
        ((point(1, 20.0, 60.0),), "a single point"),
        ((point(1, 0.0, 0.0),), "nothing was answered"),
        ((point(1, 1e6, 0.01), point(2, 1e-3, 1e6)), "figures of any size"),
    ],
)
def test_a_picture_of_anything(points: tuple[Point, ...], reason: str) -> None:
    picture = ET.fromstring(draw("m", [Curve("a", points)], "requests"))
    assert "nan" not in ET.tostring(picture, encoding="unicode"), reason
