"""What charts over the run's clock have in common. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.report.charts.axis import Axis
from loadtest.report.charts.drawing import Band, Chart, Mark, Path, Series, path_of, placed_bands, placed_marks

Document = Mapping[str, Any]
"""A report, as `loadtest.report.document` builds it."""
Show = Callable[[float | None], str]

_MOST_NAMED_STEPS: Final = 12
_NEAR: Final = 2.5
"""A limit that is more than so many times what was measured would leave no room for it."""


def clocked(
    document: Document,
    title: str,
    series: Sequence[Series],
    times_s: Sequence[float],
    y: Axis,
    show: Show,
    marks: Sequence[Mark] = (),
    paths: Sequence[Path] | None = None,
) -> Chart:
    """A chart over the run's clock, with the warm-up shaded and the steps marked.

    Args:
        document: The report.
        title: Of the chart.
        series: What is drawn, told in the table, and named in the legend.
        times_s: Where their values lie.
        y: The axis along the side.
        show: How their values are written.
        marks: Lines across it.
        paths: How they are drawn; None draws each by itself.
    """
    x = time_axis(document)
    named = [step for step in document["steps"] if step["begins_s"] > 0]
    lines = [*marks]
    if 1 < len(document["steps"]) <= _MOST_NAMED_STEPS:
        lines += [Mark(step["begins_s"], step["name"], upright=True) for step in named]
    bands = [Band(0.0, document["warm_up_s"], "warm-up")] if document["warm_up_s"] > 0 else []
    drawn = list(paths) if paths is not None else [path_of(one, times_s, x, y) for one in series]
    return Chart(
        title=title,
        x=x,
        y=y,
        paths=tuple(drawn),
        legend=tuple((one.colour, one.label) for one in series) if len(series) > 1 else (),
        table_head=("time", *(one.label for one in series)),
        table=tuple((f"{at:.1f} s", *(show(one.values[row]) for one in series)) for row, at in enumerate(times_s)),
        positions=tuple(x.at(at) for at in times_s),
        marks=placed_marks(lines, x, y),
        bands=placed_bands(bands, x),
    )


def time_axis(document: Document) -> Axis:
    """All of the run's time."""
    return Axis.time(0.0, max(document["ended_s"], *document["over_time"]["ends_s"], 0.1))


def objective_marks(document: Document, values: Iterable[float | None]) -> list[Mark]:
    """Lines at the latencies that objectives allow, as far as they are near what is drawn.

    Args:
        document: The report.
        values: Latencies that are drawn, in milliseconds.
    """
    longest = max((value for value in values if value is not None), default=0.0)
    marks = []
    for objective in document["objectives"]:
        name = re.fullmatch(r"(p\d+|max)_ms", objective["name"])
        limit = re.fullmatch(r"<=?\s*([\d.]+)(?:\s*ms)?", objective["wanted"])
        if name and limit and float(limit[1]) <= _NEAR * longest:
            marks.append(Mark(float(limit[1]), f"objective {name[1]}"))
    return marks


def highest(series: Sequence[Series]) -> float:
    """Of all values; 0 of none."""
    return max((value for one in series for value in one.values if value is not None), default=0.0)
