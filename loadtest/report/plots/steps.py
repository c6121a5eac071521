"""Charts of load that rose in steps: where the knee is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from loadtest.report import text
from loadtest.report.charts.axis import Axis
from loadtest.report.charts.drawing import Chart, Mark, Series, path_of, placed_marks
from loadtest.report.plots.clocked import Document, Show, highest, objective_marks

_FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class Ladder:
    """Steps of one kind of load, from the least to the most."""

    load: str
    """What was raised."""
    loads: tuple[float, ...]
    steps: tuple[Mapping[str, Any], ...]
    is_rate: bool

    def values(self, name: str) -> list[float | None]:
        """One figure of each step."""
        return [step[name] for step in self.steps]


def ladder(document: Document) -> Ladder | None:
    """The steps that can be drawn by their load; None with fewer than three different loads."""
    steps = [step for step in document["steps"] if step["requests"]]
    for key, load, chosen in (
        ("rate_from", "offered, requests per second", [one for one in steps if one["rate_from"] == one["rate_to"]]),
        ("users", "users at a time", steps),
    ):
        known = sorted((step for step in chosen if step[key] is not None), key=lambda step: float(step[key]))
        if len({step[key] for step in known}) >= _FEWEST:
            return Ladder(load, tuple(float(step[key]) for step in known), tuple(known), key == "rate_from")
    return None


def served_by_load(document: Document) -> Chart | None:
    """Answers per second by load; beside all that was offered, where that is known."""
    found = ladder(document)
    if found is None:
        return None
    x = Axis.linear(max(found.loads), text.number, count=6)
    series = [Series("served", "s1", found.values("per_second"))]
    if found.is_rate:
        series.insert(0, Series("offered", "s0", list(found.loads)))
    y = Axis.linear(highest(series), text.number)
    return _by_load("Served by load", found, series, x, y, partial(text.quantity, unit="/s"))


def latency_by_load(document: Document) -> Chart | None:
    """p50 and p99 by load."""
    found = ladder(document)
    if found is None:
        return None
    x = Axis.linear(max(found.loads), text.number, count=6)
    series = [Series("p50", "p50", found.values("p50_ms")), Series("p99", "p99", found.values("p99_ms"))]
    values = [value for one in series for value in one.values]
    marks = objective_marks(document, values)
    y = Axis.fitting([*values, *(mark.value for mark in marks)], text.ms_tick)
    return _by_load("Latency by load", found, series, x, y, text.ms, marks)


def _by_load(
    title: str,
    found: Ladder,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    show: Show,
    marks: Sequence[Mark] = (),
) -> Chart:
    lines = [path_of(one, found.loads, x, y) for one in series]
    dots = [path_of(Series(one.label, one.colour, one.values, "points"), found.loads, x, y) for one in series]
    return Chart(
        title=title,
        x=x,
        y=y,
        paths=(*lines, *dots),
        legend=tuple((one.colour, one.label) for one in series) if len(series) > 1 else (),
        table_head=("step", found.load, *(one.label for one in series)),
        table=tuple(
            (str(step["name"]), text.number(load), *(show(one.values[row]) for one in series))
            for row, (step, load) in enumerate(zip(found.steps, found.loads, strict=True))
        ),
        positions=tuple(x.at(load) for load in found.loads),
        marks=placed_marks(marks, x, y),
        x_label=found.load,
    )
