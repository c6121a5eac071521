"""What a rule says."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Severity(enum.Enum):
    """How much a finding matters; the worst first."""

    PROBLEM = "problem"
    """Requests fail, or wait because there is too little of something."""
    ADVICE = "advice"
    """Something to gain."""
    NOTE = "note"
    """As it should be, or worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen, why it matters, and what to do about it."""

    rule: str
    """Name of the rule, for programs."""
    severity: Severity
    seen: str
    """With figures."""
    why: str
    change: str
    """The line of config.pbtxt, the flag or the command; empty if there is nothing to change."""

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON knows."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "seen": self.seen,
            "why": self.why,
            "change": self.change,
        }
