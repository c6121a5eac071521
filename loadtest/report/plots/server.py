"""Charts of what the server was seen to do. Pure."""

from __future__ import annotations

from functools import partial

from loadtest.report import text
from loadtest.report.charts.axis import Axis
from loadtest.report.charts.drawing import Chart, Series
from loadtest.report.plots.clocked import Document, clocked, highest


def server_charts(document: Document) -> list[Chart]:
    """CPU, memory, requests on the server, rows of its batches: those that could be seen."""
    server = document["server"]
    if server is None:
        return []
    drawn = [
        ("CPU of the server", [Series("cores busy", "s1", server["cores"])], "cores"),
        ("Memory of the server", [Series("memory", "s5", server["memory_mb"])], "MB"),
        (
            "Requests on the server",
            [
                Series("being answered", "s0", server["open"]),
                Series("waiting for an instance", "s3", server["waiting"]),
            ],
            "",
        ),
        ("Rows in a batch, mean", [Series("rows", "s2", server["batch_rows"])], ""),
    ]
    charts = []
    for title, series, unit in drawn:
        if any(value is not None for one in series for value in one.values):
            axis = Axis.linear(highest(series) or 1.0, text.number)
            show = partial(text.quantity, unit=unit)
            charts.append(clocked(document, title, series, server["times_s"], axis, show))
    return charts
