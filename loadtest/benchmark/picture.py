"""One picture of the last results: what each variant delivers, and what its clients wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadtest.benchmark.figures import Figures
from loadtest.benchmark.settings import CLIENTS, SATURATED

_COLUMNS = (("network", "network in process"), ("pipeline", "pipeline in process"), (f"server_{SATURATED}", "server"))


def draw(figures: Figures, path: Path) -> None:
    """Writes an SVG: throughput bare, in process and served; latency against the number of clients.

    Args:
        figures: Those of the measurement `jpeg`.
        path: The file; replaced whole.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    beside = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "pasarela", "font.size": 9}):
        sheet = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = sheet.subplots(1, 2)
        _throughput(left, figures)
        _latency(right, figures)
        sheet.savefig(beside, format="svg", metadata={"Date": None})
    beside.replace(path)


def _throughput(axes: Any, figures: Figures) -> None:
    names, width = figures.subjects(), 0.8 / len(_COLUMNS)
    for place, (quantity, label) in enumerate(_COLUMNS):
        spreads = [figures.spread(name, quantity) for name in names]
        heights = [0.0 if one is None else one.median for one in spreads]
        errors = [
            [0.0 if one is None else one.median - one.low for one in spreads],
            [0.0 if one is None else one.high - one.median for one in spreads],
        ]
        across = [number + (place - 1) * width for number in range(len(names))]
        axes.bar(across, heights, width, yerr=errors, label=label, capsize=2)
    axes.set_xticks(range(len(names)), [name.replace("_", "\n", 1) for name in names])
    axes.set_ylabel("images per second")
    axes.set_title("What each variant delivers")
    axes.legend(frameon=False)


def _latency(axes: Any, figures: Figures) -> None:
    for name in figures.subjects():
        points = [(n, figures.median(name, f"server_{n}_p50_ms")) for n in CLIENTS]
        known = [(n, value) for n, value in points if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(CLIENTS, [str(n) for n in CLIENTS])
    axes.set_xlabel("clients")
    axes.set_ylabel("p50 in ms")
    axes.set_title("What its clients wait")
    axes.legend(frameon=False)
