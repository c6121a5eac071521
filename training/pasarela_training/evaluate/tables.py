"""Figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from pasarela_training.evaluate.measured import Measured
from pasarela_training.evaluate.scores import SIZES


def score_table(measured: Sequence[Measured]) -> list[str]:
    """One line for each variant and split."""
    lines = [
        f"| variant | split | mAP50-95 | mAP50 | mAP75 | {' | '.join(SIZES)} | run by |",
        "|---|---|---|---|---|" + "---|" * len(SIZES) + "---|",
    ]
    for one in measured:
        for split, scores in one.splits.items():
            figures = [scores.map50_95, scores.map50, scores.map75, *(scores.sizes.get(size) for size in SIZES)]
            cells = " | ".join(figure_text(figure) for figure in figures)
            lines.append(f"| {one.variant} | {split} | {cells} | {one.description} |")
    return lines


def class_table(measured: Sequence[Measured], split: str) -> list[str]:
    """AP50-95 of every class on one split, a column for each variant."""
    shown = [one for one in measured if split in one.splits]
    if not shown:
        return []
    lines = [f"| class | {' | '.join(one.variant for one in shown)} |", "|---|" + "---|" * len(shown)]
    for name in shown[0].splits[split].classes:
        cells = " | ".join(figure_text(one.splits[split].classes.get(name)) for one in shown)
        lines.append(f"| {name} | {cells} |")
    return lines


def figure_text(figure: float | None) -> str:
    """Four digits, or a dash where nothing was there to be measured."""
    return "–" if figure is None else f"{figure:.4f}"
