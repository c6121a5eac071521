"""May a variant be published? Decided by what was measured, and by nothing else. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pasarela_training.config import Config, Variant
from pasarela_training.evaluate.measured import Measured
from pasarela_training.evaluate.tables import figure_text
from pasarela_training.export.check import VariantCheck

GATED_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gate judges by."""

    measured: Sequence[Measured]
    """In process."""
    served: Mapping[Variant, Measured]
    """Through a server; empty if nobody asked one."""
    checks: Mapping[Variant, VariantCheck]
    """Comparisons with the checkpoint."""
    previous: Mapping[Variant, float]
    """mAP50-95 on `GATED_SPLIT` of the versions that these would follow, if they were measured on the same images."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one variant."""

    variant: Variant
    reasons: tuple[str, ...]
    """Why it is refused; empty if it is not."""

    @property
    def allowed(self) -> bool:
        """Nothing speaks against it."""
        return not self.reasons


def judge_variants(evidence: Evidence, config: Config) -> list[Verdict]:
    """The verdict on each measured variant."""
    return [Verdict(one.variant, tuple(_reasons(one, evidence, config))) for one in evidence.measured]


def _reasons(one: Measured, evidence: Evidence, config: Config) -> list[str]:
    section = config.publish
    reasons = []
    check = evidence.checks.get(one.variant)
    if check is not None and not check.passed:
        reasons += check.reasons or ["it is not what was trained"]
    split = GATED_SPLIT if GATED_SPLIT in one.splits else next(iter(one.splits))
    scores = one.splits[split]
    if scores.map50 < section.minimum_map50:
        reasons.append(f"mAP50 {scores.map50:.4f} on {split} is below publish.minimum_map50 {section.minimum_map50}")
    reasons += _unlike_reference(one, evidence.measured, config)
    served = evidence.served.get(one.variant)
    if served is not None:
        for name, through in served.splits.items():
            difference = abs(through.map50_95 - one.splits[name].map50_95) if name in one.splits else 0.0
            if difference > config.verify.max_map_difference:
                reasons.append(
                    f"mAP50-95 through the server is {through.map50_95:.4f} on {name}, in process "
                    f"{one.splits[name].map50_95:.4f}: more apart than verify.max_map_difference "
                    f"{config.verify.max_map_difference}"
                )
    before = evidence.previous.get(one.variant)
    if before is not None and before - scores.map50_95 > section.max_regression:
        reasons.append(
            f"mAP50-95 {scores.map50_95:.4f} on {split} is lower than {before:.4f} of the version that it would "
            f"follow, by more than publish.max_regression {section.max_regression}"
        )
    return reasons


def _unlike_reference(one: Measured, measured: Sequence[Measured], config: Config) -> list[str]:
    reference = next((other for other in measured if other.variant == "pytorch"), None)
    if reference is None:
        floats = [other for other in measured if other.variant != "int8"] or measured
        reference = max(floats, key=lambda other: min(scores.map50_95 for scores in other.splits.values()))
    if one.variant == "int8":
        key, allowed = "export.int8.max_drop", config.export.int8.max_drop
    else:
        key, allowed = "publish.max_map_difference", config.publish.max_map_difference
    reasons = []
    for split, scores in one.splits.items():
        lost = reference.splits[split].map50_95 - scores.map50_95
        # Quantisation may gain by chance; the same numbers in another framework may not.
        if (lost if one.variant == "int8" else abs(lost)) > allowed:
            reasons.append(
                f"mAP50-95 {scores.map50_95:.4f} on {split} differs by {abs(lost):.4f} from {reference.variant}'s, "
                f"more than {key} {allowed}"
            )
    return reasons


def verdict_table(evidence: Evidence, verdicts: Sequence[Verdict]) -> str:
    """All figures and verdicts as an aligned table for the terminal, with the reasons below it."""
    lines = [f"  {'variant':<10} {'split':<6} {'mAP50':>7} {'mAP50-95':>9} {'served':>8} {'alike':>7}  verdict"]
    by_variant = {verdict.variant: verdict for verdict in verdicts}
    for one in evidence.measured:
        verdict, check = by_variant[one.variant], evidence.checks.get(one.variant)
        alike = "–" if check is None else f"{check.matched:.1%}"
        for split, scores in one.splits.items():
            through = evidence.served.get(one.variant)
            served = through.splits.get(split) if through is not None else None
            lines.append(
                f"  {one.variant:<10} {split:<6} {scores.map50:>7.4f} {scores.map50_95:>9.4f} "
                f"{figure_text(served.map50_95 if served else None):>8} {alike:>7}  "
                f"{'published' if verdict.allowed else 'refused'}"
            )
    for verdict in verdicts:
        lines += [f"  {verdict.variant}: {reason}" for reason in verdict.reasons]
    return "\n".join(lines)
