"""Charts of requests over time: latency, throughput, what went wrong, where the time went. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from loadtest.report import text
from loadtest.report.charts.axis import Axis
from loadtest.report.charts.drawing import Chart, Mark, Path, Series, stacked
from loadtest.report.over_time import GROUP_LABELS, GROUPS
from loadtest.report.plots.clocked import Document, Show, clocked, highest, objective_marks, time_axis

_FAULT_COLOURS: Final = ("s6", "s3", "s5", "s2", "s7", "s4")
GROUP_COLOURS: Final = {
    "queue": "s3", "image": "s2", "network": "s1", "suppression": "s5", "messages": "s7", "outside": "s0",
}  # fmt: skip


def latency_over_time(document: Document) -> Chart | None:
    """p50, p95 and p99 of each window; None without an answer."""
    over = document["over_time"]
    series = [
        Series(label, colour, over[name])
        for label, colour, name in (("p50", "p50", "p50_ms"), ("p95", "p95", "p95_ms"), ("p99", "p99", "p99_ms"))
    ]
    values = [value for one in series for value in one.values]
    marks = objective_marks(document, values)
    values += [mark.value for mark in marks]
    return _over_time(document, "Latency over time", series, Axis.fitting(values, text.ms_tick), text.ms, marks)


def throughput_over_time(document: Document) -> Chart | None:
    """Offered and served per second."""
    over = document["over_time"]
    series = [Series("offered", "s0", over["offered"]), Series("served", "s1", over["served"])]
    axis = Axis.linear(highest(series) or 1.0, text.number)
    return _over_time(document, "Throughput over time", series, axis, partial(text.quantity, unit="/s"))


def faults_over_time(document: Document) -> Chart | None:
    """What went wrong, per second, stacked; None if nothing did."""
    over = document["over_time"]
    if not over["bad"]:
        return None
    series = [
        Series(name, _FAULT_COLOURS[number % len(_FAULT_COLOURS)], values, "area")
        for number, (name, values) in enumerate(over["bad"].items())
    ]
    axis = Axis.linear(_highest_sum(series), text.number)
    return _over_time(
        document,
        "What went wrong over time",
        series,
        axis,
        partial(text.quantity, unit="/s"),
        paths=stacked(series, _middles(document), time_axis(document), axis),
    )


def stages_over_time(document: Document) -> Chart | None:
    """Mean time by group of stages, stacked; None where the server did not tell."""
    over = document["over_time"]
    series = [
        Series(GROUP_LABELS[name], GROUP_COLOURS[name], over["stages_ms"][name], "area")
        for name in GROUPS
        if name in over["stages_ms"]
    ]
    if not series or not any(value for one in series for value in one.values):
        return None
    axis = Axis.linear(_highest_sum(series), text.ms_tick)
    paths = stacked(series, _middles(document), time_axis(document), axis)
    return _over_time(document, "Where the time goes, mean of a request", series, axis, text.ms, paths=paths)


def _over_time(
    document: Document,
    title: str,
    series: Sequence[Series],
    y: Axis,
    show: Show,
    marks: Sequence[Mark] = (),
    paths: Sequence[Path] | None = None,
) -> Chart | None:
    if not any(value is not None for one in series for value in one.values):
        return None
    return clocked(document, title, series, _middles(document), y, show, marks, paths)


def _middles(document: Document) -> list[float]:
    over = document["over_time"]
    return [(begins + ends) / 2 for begins, ends in zip(over["begins_s"], over["ends_s"], strict=True)]


def _highest_sum(series: Sequence[Series]) -> float:
    return max(
        (sum(value or 0.0 for value in row) for row in zip(*(one.values for one in series), strict=True)), default=0.0
    )
