"""Rows as lines: what fits, what is left out, and what is marked."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_client.top.layout import (
    COLUMNS,
    HEAD_LINES,
    Line,
    Span,
    Style,
    Wishes,
    cut,
    format_lines,
    page,
    plain,
)
from pasarela_client.top.rows import Row
from pasarela_client.top.watch import View

NUMBERS = {
    "requests_per_s": 123.4, "failures_per_s": 0.0, "rows_per_s": 246.8, "mean_batch_rows": 2.0, "queued": 3,
    "instances": 2, "use": 0.5, "latency_ms": {50: 8.123, 90: 12.34, 99: math.inf}, "last_bound_ms": 10000.0,
    "stages_ms": {"queue": 1.0, "input": 0.25, "infer": 150.4, "output": 0.01, "between": 0.0},
}  # fmt: skip
BUSY = Row("garments", "1", "READY", **NUMBERS)  # type: ignore[arg-type]
IDLE = Row("garments_onnx", "12", "READY", requests_per_s=0.0, failures_per_s=0.0, rows_per_s=0.0, queued=0)
BROKEN = Row("b", "", "UNAVAILABLE", "config.pbtxt:3:7: no such\nfield \x1b[31m")
ROWS = [BUSY, IDLE, BROKEN]


def view(**changes: Any) -> View:
    return View(**{"url": "here:8001", "clock_s": 0.0, "server": "pasarela 1", "seconds": 2.0, "rows": ROWS, **changes})


def text(**options: Any) -> list[str]:
    shown = options.pop("view", view())
    return [
        plain(line) for line in format_lines(shown, list(shown.rows), Wishes(**options.pop("wishes", {})), **options)
    ]


def test_everything_where_there_is_room() -> None:
    head, told, _, titles, *rows = text()
    assert head.startswith("pasarela top  here:8001  pasarela 1  ")
    assert told == "3 shown, 2 ready; 123 requests/s, 0 failures/s over 2.0 s"
    assert titles.split("  ")[0] == "MODEL"
    assert all(column.title in titles for column in COLUMNS)
    assert rows[0].split() == [
        "garments", "1", "READY", "123", "0", "247", "2.0", "3", "50%", "8.12", "12.3", ">10000", "1.00", "0.25",
        "150", "0.01",
    ]  # fmt: skip
    assert rows[1].split()[:9] == ["garments_onnx", "12", "READY", "0", "0", "0", "-", "0", "-"]
    assert rows[2].split()[:4] == ["b", "-", "UNAVAILABLE", "-"]
    assert rows[-1] == "b is UNAVAILABLE: config.pbtxt:3:7: no such field  [31m"


@given(st.integers(1, 250), st.integers(1, 60), st.sampled_from(["name", "p99", "requests"]), st.booleans())
def test_no_line_is_wider_than_the_terminal(width: int, length: int, sort: str, stages: bool) -> None:
    rows = (*ROWS, Row("m" * length, "1", "READY", **NUMBERS))  # type: ignore[arg-type]
    lines = text(view=view(rows=rows, notes=("a note " * 40,)), width=width, wishes={"sort": sort, "stages": stages})
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (200, {"OUTPUT MS", "ROWS/S", "VERSION"}, set()),
        (100, {"P50 MS", "P99 MS", "QUEUE", "BATCH", "USE"}, {"OUTPUT MS", "INPUT MS"}),
        (80, {"STATE", "REQ/S", "FAIL/S", "QUEUE", "P50 MS", "P99 MS"}, {"ROWS/S", "WAIT MS"}),
        (40, {"STATE", "REQ/S"}, {"P90 MS", "USE"}),
    ],
)
def test_a_narrow_terminal_keeps_what_matters_most(width: int, there: set[str], gone: set[str]) -> None:
    titles = text(width=width)[3]
    assert {title for title in there if title not in titles} == set()
    assert {title for title in gone if title in titles} == set()


def test_a_long_name_gives_way_before_numbers_do() -> None:
    line = text(view=view(rows=(Row("a_very_long_name_of_a_model_indeed", "1", "READY", **NUMBERS),)), width=80)[4]  # type: ignore[arg-type]
    assert line.split()[0].endswith("…")
    assert "123" in line


def test_the_sorted_column_is_marked() -> None:
    assert "P99 MS↓" in text(wishes={"sort": "p99"})[3]
    assert "P99 MS↑" in text(wishes={"sort": "p99", "reverse": True})[3]


def test_every_stage_on_a_line_of_its_own() -> None:
    lines = text(wishes={"stages": True})
    assert lines[5] == "  ms: queue 1.00  input 0.25  infer 150  output 0.01  rest 0.00"
    assert lines[6].startswith("garments_onnx"), "who did nothing has no such line"


def styles(line: Line) -> set[Style]:
    return {span.style for span in line if span.text.strip()}


def test_what_is_wrong_stands_out_and_what_is_idle_recedes() -> None:
    failing = Row("f", "1", "READY", requests_per_s=1.0, failures_per_s=3.0, use=0.9)
    lines = format_lines(view(rows=(BUSY, IDLE, BROKEN, failing)), [BUSY, IDLE, BROKEN, failing], Wishes())[4:8]
    assert [styles(line) for line in lines] == [
        {Style.PLAIN},
        {Style.QUIET},
        {Style.PLAIN, Style.BAD},
        {Style.PLAIN, Style.BAD, Style.WARNING},
    ]


def test_a_server_that_is_gone_is_said_above_what_was_known() -> None:
    shown = view(lost="nothing answers at here:8001", away_s=7.4)
    lines = format_lines(shown, ROWS, Wishes())
    assert plain(lines[1]) == "no answer for 7 s, trying again: nothing answers at here:8001"
    assert styles(lines[1]) == {Style.BAD}
    assert styles(lines[4]) == {Style.QUIET}


@pytest.mark.parametrize(
    ("shown", "wanted", "message"),
    [
        (view(rows=()), [], "the server has no models"),
        (view(), [], "no model fits"),
        (view(), [IDLE], "1 of 3 shown, 1 ready; 0 requests/s, 0 failures/s over 2.0 s"),
        (
            view(),
            [Row("m", "1", "READY", requests_per_s=0.04)],
            "1 of 3 shown, 1 ready; <0.1 requests/s, 0 failures/s over 2.0 s",
        ),
        (view(seconds=0.0), ROWS, "3 shown, 2 ready; measuring …"),
        (view(notes=("no percentiles: …",)), ROWS, "no percentiles: …"),
    ],
    ids=["no models", "none fits", "one of three", "hardly any requests", "the first look", "a note"],
)
def test_what_there_is_to_say(shown: View, wanted: list[Row], message: str) -> None:
    assert message in [plain(line) for line in format_lines(shown, wanted, Wishes())]


LINES: list[Line] = [(Span(str(number)),) for number in range(20)]


@pytest.mark.parametrize(
    ("height", "offset", "shown", "possible"),
    [
        (30, 0, range(20), 0),
        (30, 5, range(20), 0),
        (10, 0, range(10), 0),
        (10, 3, [0, 1, 2, 3, *range(7, 13)], 3),
        (10, 99, [0, 1, 2, 3, *range(14, 20)], 10),
        (10, -1, range(10), 0),
        (2, 0, range(2), 0),
    ],
    ids=["all fit", "nothing to scroll", "cut", "scrolled", "to the end and no further", "not above", "tiny"],
)
def test_scrolling_leaves_the_head(height: int, offset: int, shown: Any, possible: int) -> None:
    lines, place = page(LINES, height, offset)
    assert [int(plain(line)) for line in lines] == list(shown)
    assert place == possible
    assert HEAD_LINES == 4


def test_a_cut_line_keeps_its_styles() -> None:
    line = (Span("abc", Style.BAD), Span("defgh", Style.QUIET))
    assert cut(line, 8) is line
    assert cut(line, 5) == (Span("abc", Style.BAD), Span("d", Style.QUIET), Span("…", Style.QUIET))
    assert plain(cut(line, 1)) == "…"
