"""How a training went, as one picture over all its phases."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

CURVES = "curves.png"
_MAP = {"mAP50-95": "metrics/mAP50-95(B)", "mAP50": "metrics/mAP50(B)"}

Row = Mapping[str, float]


def draw_curves(folder: Path, phases: int, *, validated: bool) -> Path | None:
    """Draws losses, learning rate and, where it was measured after every epoch, mAP.

    Args:
        folder: Output of the `train` stage, with `phase-1/results.csv`, … as Ultralytics leaves them.
        phases: How many there are.
        validated: Whether mAP was measured after every epoch.

    Returns:
        The picture; None if there is nothing to draw.
    """
    from matplotlib.figure import Figure

    runs = [read_results(folder / f"phase-{number}" / "results.csv") for number in range(1, phases + 1)]
    rows = [row for run in runs for row in run]
    if not rows:
        return None
    epochs = range(1, len(rows) + 1)
    panels = 3 if validated else 2
    figure = Figure(figsize=(4.5 * panels, 4), layout="constrained")
    axes = figure.subplots(1, panels)
    for column in [name for name in rows[0] if name.startswith("train/")]:
        axes[0].plot(epochs, [row.get(column) for row in rows], label=column.removeprefix("train/"))
    axes[0].set_title("loss on the training split")
    axes[1].plot(epochs, [row.get("lr/pg0") for row in rows], color="C4")
    axes[1].set_title("learning rate")
    if validated:
        for name, column in _MAP.items():
            axes[2].plot(epochs, [row.get(column) for row in rows], label=name)
        axes[2].set_title("on val, as Ultralytics counts")
        axes[2].legend()
    axes[0].legend()
    for panel in axes:
        panel.set_xlabel("epoch")
        panel.grid(visible=True, alpha=0.3)
        for boundary in _boundaries([len(run) for run in runs]):
            panel.axvline(boundary + 0.5, color="black", linestyle=":", linewidth=1)
    place = folder / CURVES
    figure.savefig(place, dpi=110)
    return place


def read_results(path: Path) -> list[Row]:
    """The rows of Ultralytics' `results.csv`, an epoch each; what is no number is left out, a missing file is empty."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_numbers(row) for row in csv.DictReader(file)]
    except (OSError, csv.Error, UnicodeDecodeError):
        return []


def _numbers(row: Mapping[str | None, str | None]) -> Row:
    numbers: dict[str, float] = {}
    for name, text in row.items():
        try:
            numbers[str(name).strip()] = float(text or "")
        except (TypeError, ValueError):
            continue
    return numbers


def _boundaries(lengths: Sequence[int]) -> list[int]:
    """After which epochs, counted over all phases, another phase begins."""
    return [sum(lengths[:count]) for count in range(1, len(lengths))]
