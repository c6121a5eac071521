"""May these variants be published? Decided by what was measured, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from pasarela_training.config import PublishSection
from pasarela_training.errors import PublicationRefused
from pasarela_training.evaluate.stage import Measured

GATED_SPLIT = "test"


def refusals(measured: Sequence[Measured], section: PublishSection) -> list[str]:
    """What forbids publication, one sentence for each; empty if nothing does. Pure."""
    reasons = []
    for one in measured:
        split = GATED_SPLIT if GATED_SPLIT in one.splits else next(iter(one.splits))
        map50 = one.splits[split].map50
        if map50 < section.minimum_map50:
            reasons.append(
                f"{one.variant} has mAP50 {map50:.4f} on {split}, below publish.minimum_map50 {section.minimum_map50}"
            )
    for first, second in combinations(measured, 2):
        for split in first.splits:
            difference = abs(first.splits[split].map50_95 - second.splits[split].map50_95)
            if difference > section.max_map_difference:
                reasons.append(
                    f"{first.variant} and {second.variant} differ by {difference:.4f} mAP50-95 on {split}, "
                    f"more than publish.max_map_difference {section.max_map_difference}"
                )
    return reasons


def check_allowed(measured: Sequence[Measured], section: PublishSection) -> None:
    """Raises if publication is forbidden.

    Raises:
        PublicationRefused: With the reasons and the table of all figures.
    """
    reasons = refusals(measured, section)
    if reasons:
        raise PublicationRefused(
            "publish: refused, nothing was published: " + "; ".join(reasons) + "\n" + figures_as_text(measured)
        )


def figures_as_text(measured: Sequence[Measured]) -> str:
    """All figures as an aligned table for the terminal."""
    lines = [f"  {'variant':<10} {'split':<6} {'mAP50':>7} {'mAP50-95':>9}  run by"]
    for one in measured:
        lines += [
            f"  {one.variant:<10} {split:<6} {scores.map50:>7.4f} {scores.map50_95:>9.4f}  {one.description}"
            for split, scores in one.splits.items()
        ]
    return "\n".join(lines)
