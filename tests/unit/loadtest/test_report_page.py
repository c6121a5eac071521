"""The page: what it says first, that it says all of it, and that nothing in a run can break out of it."""

import re
from html.parser import HTMLParser

import pytest

from loadtest.records import Finding, ObjectiveResult, RequestRecord
from loadtest.report.comparison import compare
from loadtest.report.document import build
from loadtest.report.generator import GeneratorLimit
from loadtest.report.page import render_report
from tests.example_run import facts, knee, met_and_missed, records, samples, stairs, steady

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Outline(HTMLParser):
    """Tags with their attributes, and the words that are shown."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))
        self._hidden = tag in {"style", "script"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(steps: tuple = (), made: dict | None = None, **changes: object) -> Outline:
    steps = steps or steady()
    return Outline(render_report(build(facts(steps, **changes), records(steps, **(made or {})), samples(33))))


def test_everything_that_a_report_is_for_is_on_the_page() -> None:
    steps = stairs()
    document = build(
        facts(steps, objectives=met_and_missed(), findings=knee()),
        records(steps, capacity=38, failing=0.02, frames=True),
        samples(32),
        GeneratorLimit(412.0, 8, 1, 3.0, ("detect",), "2026-11-26"),
    )
    document["comparison"] = compare(document, document)
    shown = Outline(render_report(document)).text
    for title in (
        "Objectives", "Compared with the earlier run", "Step by step", "Latency over time", "Latency by percentile",
        "Distribution of latency", "Throughput over time", "What went wrong", "Frames of streams", "By user and model",
        "CPU of the server", "Memory of the server", "Requests on the server", "Rows in a batch", "Where the time goes",
        "The generator's own limit", "Conditions of the run", "RESOURCE_EXHAUSTED", "the queue is full", "412/s",
        "Example 9000", "2026.4.1",
    ):  # fmt: skip
        assert title in shown, title
    assert shown.index("Throughput") < shown.index("Objectives") < shown.index("Conditions of the run")


def test_the_page_asks_for_nothing() -> None:
    outline = page(objectives=met_and_missed())
    for tag, attributes in outline.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base"} or attributes.get("href") == "data:,"
        assert not attributes.get("src"), "nothing is loaded"
        assert not any(name.startswith("on") for name in attributes)
    assert [attributes["href"] for tag, attributes in outline.tags if tag in {"link", "a"}] == ["data:,"]


def test_what_a_run_says_cannot_break_out_of_the_page() -> None:
    steps = steady(4, 5)
    one = RequestRecord(1, EVIL, EVIL, "open", 4.0, "failed", 4.0, 4.1, "INTERNAL", EVIL)
    harmless = Outline(render_report(build(facts(steps), records(steps), samples(6))))
    run = facts(
        steps, title=EVIL, name=EVIL, url=EVIL, models=(EVIL,), scenario={EVIL: EVIL}, conditions={EVIL: EVIL},
        objectives=(ObjectiveResult(EVIL, EVIL, EVIL, met=False),), findings=(Finding(EVIL, 1.0, EVIL, None, None, EVIL),),
    )  # fmt: skip
    text = render_report(build(run, [*records(steps), one], samples(6)))
    outline = Outline(text)
    code = [attributes for tag, attributes in outline.tags if tag == "script" and "type" not in attributes]
    assert len(code) == 1, "our own script and no other"
    assert not [tag for tag, _ in outline.tags if tag == "img"]
    assert "alert(1)" in outline.text, "it is shown, as words"
    assert len([tag for tag, _ in harmless.tags if tag == "style"]) == 1


@pytest.mark.parametrize(
    ("changes", "banner"),
    [
        pytest.param({}, "No objectives were set.", id="none"),
        pytest.param({"objectives": met_and_missed()[:1]}, "Objective met: p99_ms 47.3, wanted <= 50", id="met"),
        pytest.param(
            {"objectives": met_and_missed()}, "1 of 2 objectives missed: failed 1.2%, wanted <= 0.1%", id="missed"
        ),
        pytest.param({"cut_short": True, "ended_s": 20.0}, "Cut short. The run was stopped after 20 s", id="cut short"),
        pytest.param(
            {"conditions": {"busy_before": 1.5}},
            "The machine was not idle. Something else kept 1.5 cores busy before the run.",
            id="not alone",
        ),
        pytest.param({"overrun": 7}, "7 requests were due and never sent", id="the generator could not follow"),
        pytest.param(
            {"fault": "1 of 2 workers went away"},
            "Not the load that was asked for: 1 of 2 workers went away.",
            id="a worker went away",
        ),
    ],
)
def test_the_verdict_stands_at_the_top(changes: dict, banner: str) -> None:
    shown = page(**changes).text
    assert banner in shown
    assert shown.index(banner) < shown.index("Latency over time")


def test_a_generator_at_its_limit_is_told_at_the_top() -> None:
    steps = steady()
    limit = GeneratorLimit(36.0, 8, 1, 3.0, ("detect",), "2026-11-26")
    shown = Outline(render_report(build(facts(steps), records(steps), limit=limit))).text
    assert "The generator may be the limit." in shown


def test_a_server_that_went_away_is_told_at_the_top() -> None:
    steps = steady()
    shown = Outline(render_report(build(facts(steps), records(steps), samples(33, gone_at=12)))).text
    assert "The server went away during the run: the server's process 7 has ended" in shown


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        pytest.param(1.3, "worse", id="slower"),
        pytest.param(0.7, "better", id="faster"),
        pytest.param(1.0, "noise", id="the same"),
    ],
)
def test_changes_stand_at_the_figures(scale: float, told: str) -> None:
    steps = steady(40, 30)
    old, new = (build(facts(steps), records(steps, seed=seed, scale=one)) for seed, one in ((1, 1.0), (2, scale)))
    new["comparison"] = compare(old, new)
    text = render_report(new)
    (tile,) = re.findall(r'<div class="tile"><div class="name">p50 latency</div>.*', text)
    assert re.search(rf'class="change \w+">[+−±]?[\d.]+ %, {told}<', tile), tile


def test_a_run_in_which_nothing_was_asked_has_a_page_that_says_so() -> None:
    shown = Outline(render_report(build(facts(steady()), []))).text
    assert "Nothing was measured." in shown
    assert "The server was not looked at during this run." in shown


def test_a_run_in_which_nothing_failed_says_so() -> None:
    assert re.search(r"What went wrong Nothing\. All [\d,]+ requests were answered in time\.", page().text)


def test_wide_parts_can_be_scrolled_with_keys_and_have_names() -> None:
    outline = page(objectives=met_and_missed())
    scrolled = [one for _, one in outline.tags if (one.get("class") or "").split()[:1] in (["wide"], ["plot"])]
    assert len(scrolled) > 10
    assert all(one["tabindex"] == "0" and one["aria-label"] and one["role"] for one in scrolled)
    heads = [one for tag, one in outline.tags if tag == "th"]
    assert all(one.get("scope") in {"col", "row"} for one in heads)
