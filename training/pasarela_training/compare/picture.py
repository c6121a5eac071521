"""Accuracy against speed, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Point:
    """One variant."""

    title: str
    accuracy: float
    """mAP50-95 on test."""
    p50_ms: float
    rate: float
    """Images per second."""


MARKERS = ("o", "s", "^", "D", "v", "P")


def draw_comparison(points: Sequence[Point], path: Path) -> None:
    """Draws two plots, of latency and of throughput, into a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    _scatter(left, points, [point.p50_ms for point in points], "latency of one image, p50, ms (less is better)")
    _scatter(right, points, [point.rate for point in points], "images per second (more is better)")
    left.set_ylabel("mAP50-95 on test")
    handles, titles = left.get_legend_handles_labels()
    figure.legend(handles, titles, loc="outside lower center", ncols=min(4, len(points)), frameon=False)
    figure.savefig(path)


def _scatter(axes: Axes, points: Sequence[Point], across: Sequence[float], label: str) -> None:
    for index, (point, x) in enumerate(zip(points, across, strict=True)):
        marker = MARKERS[index % len(MARKERS)]
        axes.scatter([x], [point.accuracy], s=110, marker=marker, color=f"C{index}", label=point.title, alpha=0.85)
    axes.set_xlabel(label)
    axes.set_xlim(0, 1.15 * max(across))
    heights = [point.accuracy for point in points]
    margin = max(0.01, max(heights) - min(heights))
    axes.set_ylim(min(heights) - margin, max(heights) + margin)
    axes.grid(alpha=0.3)
