"""All rules over all facts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pasarela_client.doctor import merging, spending
from pasarela_client.doctor.facts import Facts
from pasarela_client.doctor.finding import Finding, Severity

Rule = Callable[[Facts], Finding | None]

RULES: Final[tuple[Rule, ...]] = (*spending.RULES, *merging.RULES)


def diagnose(facts: Facts) -> list[Finding]:
    """What the rules find, the worst first."""
    found = [finding for rule in RULES if (finding := rule(facts)) is not None]
    worst = list(Severity)
    return sorted(found, key=lambda finding: worst.index(finding.severity))
