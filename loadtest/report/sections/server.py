"""What the server did while it was asked, and where the time of a request went. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtest.report import text
from loadtest.report.charts.drawing import drawn
from loadtest.report.layout import Part, Section, Table, cell, row
from loadtest.report.over_time import GROUP_LABELS, GROUPS, OUTSIDE
from loadtest.report.plots.requests import GROUP_COLOURS, stages_over_time
from loadtest.report.plots.server import server_charts

Document = Mapping[str, Any]


def server_section(document: Document) -> Section | None:
    """CPU, memory, queue and batches; says so if the server was not looked at."""
    server = document["server"]
    if server is None:
        return Section("The server", ["The server was not looked at during this run."], dim=True)
    tables = []
    if server["closed"]:
        total = sum(server["closed"].values())
        rows = [
            row(reason, cell(f"{count:,.0f}", count), cell(text.percent(count / total), count))
            for reason, count in sorted(server["closed"].items(), key=lambda pair: -pair[1])
        ]
        tables.append(Table("Why batches were closed", ("reason", "batches", "share"), rows))
    sizes = document["batch_sizes"]
    if sizes:
        total = sum(sizes.values())
        rows = [
            row(size, cell(f"{count:,}", count), cell(text.percent(count / total), count))
            for size, count in sizes.items()
        ]
        tables.append(Table("Rows of the batch that a request travelled in", ("rows", "requests", "share"), rows))
    ready = document["server_ready_s"]
    sentences = [] if ready is None else [f"It was ready {text.duration(ready)} after its start."]
    return Section("The server", sentences, charts=server_charts(document), tables=tables, after=server["notes"])


def stages_section(document: Document) -> Section | None:
    """The time of a request by stage; None where the server did not tell."""
    stages = document["stages"]
    if not stages:
        return None
    means = {one["stage"]: one["mean_ms"] or 0.0 for one in stages}
    total = sum(means.values()) or 1.0
    parts = []
    for name, members in GROUPS.items():
        spent = means.get(OUTSIDE, 0.0) if name == OUTSIDE else sum(means.get(stage, 0.0) for stage in members)
        if spent > 0:
            parts.append(Part(GROUP_LABELS[name], GROUP_COLOURS[name], round(spent / total * 100, 2), text.ms(spent)))
    rows = [
        row(
            "outside the server" if one["stage"] == OUTSIDE else one["stage"].replace("_", " "),
            *(cell(text.number(one[name]), one[name]) for name in ("mean_ms", "p50_ms", "p99_ms")),
            cell(text.percent(one["share"]), one["share"]),
        )
        for one in stages
    ]
    return Section(
        "Where the time goes",
        ["The server told of each answer where its time went; the rest of the latency lies outside it."],
        stack_label="mean of a request",
        stack=parts,
        charts=drawn(stages_over_time(document)),
        single=True,
        tables=[Table("By stage, in the order of a request", ("stage", "mean ms", "p50 ms", "p99 ms", "share"), rows)],
    )
