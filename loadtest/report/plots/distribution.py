"""Charts of latencies as a distribution. Pure."""

from __future__ import annotations

from loadtest.report import text
from loadtest.report.charts.axis import Axis, tail_of
from loadtest.report.charts.drawing import Chart, Mark, Series, bars, path_of, placed_marks
from loadtest.report.plots.clocked import Document, objective_marks


def percentile_curve(document: Document) -> Chart | None:
    """Latency by percentile, the tail drawn out; None without an answer."""
    curve = document["curve"]
    if len(curve) < 2:
        return None
    fractions = [fraction for fraction, _ in curve]
    x = Axis.tail(fractions)
    tails = [min(tail_of(fraction), x.high) for fraction in fractions]
    values = [latency for _, latency in curve]
    marks = objective_marks(document, values)
    y = Axis.fitting([*values, *(mark.value for mark in marks)], text.ms_tick)
    return Chart(
        title="Latency by percentile",
        x=x,
        y=y,
        paths=(path_of(Series("latency", "s1", values), tails, x, y),),
        legend=(),
        table_head=("part of the requests", "took at most"),
        table=tuple((f"{fraction * 100:.6g} %", text.ms(latency)) for fraction, latency in curve),
        positions=tuple(x.at(tail) for tail in tails),
        marks=placed_marks(marks, x, y),
        x_label="part of the requests that took at most so long",
    )


def histogram(document: Document) -> Chart | None:
    """How often latencies occurred, with p50 and p99 marked; None without an answer."""
    bins = document["histogram"]
    if len(bins) < 2:
        return None
    total = sum(count for _, _, count in bins)
    x = Axis.log(bins[0][0], bins[-1][1], text.ms_tick)
    y = Axis.linear(max(count for _, _, count in bins) / total, text.percent)
    named = {one["fraction"]: one["latency_ms"] for one in document["percentiles"]}
    marks = [
        Mark(named[fraction], label, upright=True, flipped=fraction == 0.5)
        for fraction, label in ((0.5, "p50"), (0.99, "p99"))
        if fraction in named
    ]
    return Chart(
        title="Distribution of latency",
        x=x,
        y=y,
        paths=(bars([count / total for _, _, count in bins], [(low, high) for low, high, _ in bins], x, y, "s1"),),
        legend=(),
        table_head=("from", "to", "requests", "share"),
        table=tuple(
            (text.ms(low), text.ms(high), f"{count:,}", text.percent(count / total)) for low, high, count in bins
        ),
        positions=tuple((x.at(low) + x.at(high)) / 2 for low, high, _ in bins),
        marks=placed_marks(marks, x, y),
        x_label="latency, logarithmic",
    )
