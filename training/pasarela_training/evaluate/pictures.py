"""Precision-recall curves and confusion matrices as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pasarela_training.evaluate.confusion import Counts

NAMED_CURVES = 20
"""With more classes than this the legend names the mean only."""
NUMBERED_CELLS = 30
"""With more classes than this the cells carry no numbers."""


def draw_precision_recall(curves: Mapping[str, npt.NDArray[np.float64]], title: str, place: Path) -> None:
    """Draws precision over recall at IoU .5.

    Args:
        curves: By class: precision at the recalls 0, 0.01, …, 1.
        title: Above the picture.
        place: PNG file to write.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    recalls = np.linspace(0, 1, 101)
    named = len(curves) <= NAMED_CURVES
    colours = colormaps["turbo"](np.linspace(0.05, 0.95, max(len(curves), 1)))
    for colour, (name, precision) in zip(colours, curves.items(), strict=False):
        label = f"{name} {precision.mean():.3f}" if named else None
        axes.plot(recalls, precision, color=colour, linewidth=1, label=label)
    if curves:
        mean = np.mean(list(curves.values()), axis=0)
        axes.plot(recalls, mean, color="black", linewidth=2.5, label=f"mean {mean.mean():.3f}")
        for text in figure.legend(loc="outside right upper", fontsize="small", title="AP50").get_texts():
            text.set_parse_math(False)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title(title, parse_math=False)
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(place, dpi=110)


def draw_confusion(matrix: Counts, names: Sequence[str], title: str, place: Path) -> None:
    """Draws a confusion matrix; colours are shares of the true class, numbers are counts.

    Args:
        matrix: See `confusion.confusion_matrix`.
        names: Of the classes, without background.
        title: Above the picture.
        place: PNG file to write.
    """
    from matplotlib.figure import Figure

    labels = [*names, "nothing"]
    side = min(max(5.0, 0.45 * len(labels) + 2.5), 30.0)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= NUMBERED_CELLS:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=8)
    ticks = range(len(labels))
    size = 9 if len(labels) <= NUMBERED_CELLS else 6
    axes.set_xticks(ticks, labels, rotation=60, ha="right", rotation_mode="anchor", fontsize=size, parse_math=False)
    axes.set_yticks(ticks, labels, fontsize=size, parse_math=False)
    axes.set(xlabel="found", ylabel="true")
    axes.set_title(title, parse_math=False)
    figure.savefig(place, dpi=110)
