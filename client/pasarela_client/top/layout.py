"""A view → lines of text that fit into a terminal. Pure."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pasarela_client.timings import BETWEEN
from pasarela_client.top.rows import Row
from pasarela_client.top.watch import View

UNKNOWN: Final = "-"
NARROWEST_NAME: Final = 12
_GAP: Final = "  "
_BUSY: Final = 0.85
"""A share of the time from which instances have no room left, to speak of."""
KEYS: Final = "q quit   s sort by the next column   r the other way round   d stages   b busy ones only   ↑ ↓ scroll"


class Style(enum.Enum):
    """What a piece of text is; how it looks is up to who draws it."""

    PLAIN = enum.auto()
    TITLE = enum.auto()
    HEADING = enum.auto()
    BAD = enum.auto()
    WARNING = enum.auto()
    QUIET = enum.auto()


@dataclass(frozen=True, slots=True)
class Span:
    """Text of one style."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table."""

    key: str
    title: str
    show: Callable[[Row], str]
    kept: int
    """Where the terminal is too narrow for all, those with the lowest number go first."""


def _ms(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if 0 < value < 0.05:
        return "<0.1"
    return "0" if value == 0 else f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"


def _percentile(percent: int) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        value = row.latency_ms.get(percent)
        return f">{row.last_bound_ms:.0f}" if value is not None and math.isinf(value) else _ms(value)

    return show


def _stage(stage: str) -> Callable[[Row], str]:
    return lambda row: _ms(row.stages_ms.get(stage))


COLUMNS: Final = (
    Column("version", "VERSION", lambda row: row.version or UNKNOWN, 60),
    Column("state", "STATE", lambda row: row.state, 95),
    Column("requests", "REQ/S", lambda row: _number(row.requests_per_s), 99),
    Column("failures", "FAIL/S", lambda row: _number(row.failures_per_s), 90),
    Column("rows", "ROWS/S", lambda row: _number(row.rows_per_s), 40),
    Column("batch", "BATCH", lambda row: _number(row.mean_batch_rows), 80),
    Column("queue", "QUEUE", lambda row: UNKNOWN if row.queued is None else str(row.queued), 85),
    Column("use", "USE", lambda row: UNKNOWN if row.use is None else f"{row.use:.0%}", 75),
    Column("p50", "P50 MS", _percentile(50), 88),
    Column("p90", "P90 MS", _percentile(90), 50),
    Column("p99", "P99 MS", _percentile(99), 87),
    Column("", "WAIT MS", _stage("queue"), 35),
    Column("", "INPUT MS", _stage("input"), 25),
    Column("", "INFER MS", _stage("infer"), 30),
    Column("", "OUTPUT MS", _stage("output"), 20),
)
"""After the name, from left to right. WAIT to OUTPUT are means of a request."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a view is to be shown."""

    sort: str = "name"
    reverse: bool = False
    stages: bool = False
    """Whether every stage is told, on a line of its own below its version."""
    every_s: float = 0.0


def format_lines(view: View, rows: Sequence[Row], wishes: Wishes, width: int | None = None) -> list[Line]:
    """The view from top to bottom.

    Args:
        view: What there is to show.
        rows: Those of its rows that are wanted, in order.
        wishes: How.
        width: Characters in a line; None shows everything, however wide.
    """
    lines = [*_head(view, rows, wishes), ()]
    if rows:
        lines += _table(view, rows, wishes, width)
    elif not view.lost:
        lines.append((Span("no model fits" if view.rows else "the server has no models", Style.QUIET),))
    reasons = (f"{row.full_name} is {row.state}: {row.reason}" for row in rows if row.reason)
    notes = [*view.notes, *reasons]
    if notes:
        lines += [(), *((Span(_printable(note), Style.QUIET),) for note in notes)]
    return [cut(line, width) for line in lines]


def page(lines: Sequence[Line], height: int, offset: int) -> tuple[list[Line], int]:
    """The lines that fit, those of the head always first, and the offset that is possible.

    Args:
        lines: All of them.
        height: How many fit.
        offset: How many are scrolled past.
    """
    head, body = list(lines[:HEAD_LINES]), list(lines[HEAD_LINES:])
    room = max(0, height - len(head))
    offset = max(0, min(offset, len(body) - room))
    return (head + body[offset : offset + room])[:height], offset


HEAD_LINES: Final = 4
"""Lines that stay when the others are scrolled: two of the head, an empty one, the titles of the columns."""


def cut(line: Line, width: int | None) -> Line:
    """The line, with an ellipsis where it is too long."""
    if width is None or sum(len(span.text) for span in line) <= width:
        return line
    kept: list[Span] = []
    left = max(0, width - 1)
    for span in line:
        kept.append(Span(span.text[:left], span.style))
        left -= len(kept[-1].text)
        if len(kept[-1].text) < len(span.text):
            break
    return (*kept, Span("…"[:width], kept[-1].style if kept else Style.PLAIN))


def plain(line: Line) -> str:
    """The line without its styles."""
    return "".join(span.text for span in line).rstrip()


def _head(view: View, rows: Sequence[Row], wishes: Wishes) -> list[Line]:
    clock = time.strftime("%H:%M:%S", time.localtime(view.clock_s))
    title = [Span("pasarela top", Style.TITLE), Span(f"  {view.url}")]
    title += [Span(f"  {view.server}")] if view.server else []
    title += [Span(f"  {clock}"), Span(f"  every {wishes.every_s:g} s" if wishes.every_s else "")]
    if view.lost:
        return [tuple(title), (Span(f"no answer for {view.away_s:.0f} s, trying again: {view.lost}", Style.BAD),)]
    ready = sum(row.ready for row in rows)
    told = f"{len(rows)}{f' of {len(view.rows)}' if len(rows) < len(view.rows) else ''} shown, {ready} ready"
    if view.seconds:
        requests = sum(row.requests_per_s or 0.0 for row in rows)
        failures = sum(row.failures_per_s or 0.0 for row in rows)
        told += f"; {_number(requests)} requests/s, {_number(failures)} failures/s over {view.seconds:.1f} s"
    else:
        told += "; measuring …"
    return [tuple(title), (Span(told),)]


def _table(view: View, rows: Sequence[Row], wishes: Wishes, width: int | None) -> list[Line]:
    names = [row.name for row in rows]
    columns, name_width = _fitting(rows, max(map(len, ["MODEL", *names])), width)
    widths = [max(len(_title(column, wishes)), *(len(column.show(row)) for row in rows)) for column in columns]
    heading = "MODEL".ljust(name_width) + "".join(
        _GAP + _aligned(column, _title(column, wishes), wide) for column, wide in zip(columns, widths, strict=True)
    )
    lines: list[Line] = [(Span(heading, Style.HEADING),)]
    for row in rows:
        quiet = bool(view.lost) or (view.seconds > 0 and row.ready and not row.busy)
        spans = [
            Span(_shortened(_printable(row.name), name_width).ljust(name_width), Style.QUIET if quiet else Style.PLAIN)
        ]
        for column, wide in zip(columns, widths, strict=True):
            style = Style.QUIET if quiet else _style(column, row)
            spans.append(Span(_GAP + _aligned(column, column.show(row), wide), style))
        lines.append(tuple(spans))
        if wishes.stages and (stages := row.all_stages_ms or row.stages_ms):
            told = _GAP.join(f"{'rest' if stage == BETWEEN else stage} {_ms(ms)}" for stage, ms in stages.items())
            lines.append((Span(f"  ms: {told}", Style.QUIET),))
    return lines


def _fitting(rows: Sequence[Row], name_width: int, width: int | None) -> tuple[list[Column], int]:
    """The columns that fit, and the room for names."""
    if width is None:
        return list(COLUMNS), name_width
    sizes = {
        id(column): len(_GAP) + max(len(column.title) + 1, *(len(column.show(row)) for row in rows))
        for column in COLUMNS
    }
    columns = list(COLUMNS)
    wanted = min(name_width, max(NARROWEST_NAME, width // 4))
    while columns and wanted + sum(sizes[id(column)] for column in columns) > width:
        columns.remove(min(columns, key=lambda column: column.kept))
    left = width - sum(sizes[id(column)] for column in columns)
    return columns, max(1, min(name_width, left))


def _title(column: Column, wishes: Wishes) -> str:
    if column.key and column.key == wishes.sort:
        return column.title + ("↑" if wishes.reverse else "↓")
    return column.title


def _aligned(column: Column, text: str, width: int) -> str:
    return text.ljust(width) if column.key in {"version", "state"} else text.rjust(width)


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else name[: max(0, width - 1)] + "…"


def _style(column: Column, row: Row) -> Style:
    if column.key == "state" and not row.ready:
        return Style.BAD
    if column.key == "failures" and row.failures_per_s:
        return Style.BAD
    if column.key == "use" and row.use is not None and row.use >= _BUSY:
        return Style.WARNING
    return Style.PLAIN


def _printable(text: str) -> str:
    """The text on one line, without what would move the cursor."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
