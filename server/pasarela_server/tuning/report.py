"""What a tuning found, for people: a page of Markdown, and the same as JSON. Pure."""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pasarela_server.tuning.candidate import BASELINE, Candidate
from pasarela_server.tuning.candidates import is_defaults
from pasarela_server.tuning.conditions import Conditions
from pasarela_server.tuning.measurement import Point
from pasarela_server.tuning.operating import fastest, frontier, operating_point
from pasarela_server.tuning.search import Found
from pasarela_server.tuning.subject import Subject
from pasarela_server.tuning.wording import describe, milliseconds, rate, times

_HOW_TO_READ = """\
Each at the load where it does best. *÷ as it is*: over what was measured in turns with it; median and spread of the
repeats at the end, else the last round."""
_STEADY = 1.3
"""The highest over the lowest throughput of single slices, up to which a machine is left to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is told at the end."""

    model: str
    subject: Subject
    conditions: Conditions
    target_ms: float | None
    found: Found
    remarks: Sequence[str]
    """What was left out, and why; what makes the figures doubtful."""
    before: str
    """The text of config.pbtxt; empty if there is none."""
    after: str
    """What it becomes."""

    @property
    def reached(self) -> bool:
        """Whether the choice keeps the target."""
        return self._point(self.found.choice) is not None

    @property
    def lowest_ms(self) -> float:
        """The lowest p99 that anything reached."""
        best = [fastest(found) for found in self.found.measured.values()]
        return min((point.p99_ms for point in best if point is not None), default=math.inf)

    def diff(self, source: str) -> str:
        """What changes in config.pbtxt, as a unified diff; empty if nothing does."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True), self.after.splitlines(keepends=True), f"a/{source}", f"b/{source}"
        )
        return "".join(line if line.endswith("\n") else line + "\n" for line in lines)

    def gain(self) -> str:
        """What the choice brings over the configuration as it is, in one sentence or two."""
        choice, verdict = self.found.choice, self.found.verdict
        if choice == BASELINE:
            why = "nothing came near it" if verdict is None else verdict.reason
            tried = any(candidate != BASELINE for candidate in self.found.measured)
            return "The configuration stays as it is" + (f": {why}." if tried else ": there was nothing else to try.")
        ratios = () if verdict is None else verdict.ratios[choice]
        point = self._point(choice)
        told = "" if point is None else f"; {rate(point.throughput)} a second, p99 {milliseconds(point.p99_ms)} ms"
        return (
            f"{self._name(choice)}: {times(statistics.median(ratios))} times as much as the configuration as it is, "
            f"{times(min(ratios))} to {times(max(ratios))} in {len(ratios)} repeats{told}."
        )

    def page(self) -> str:
        """The report as Markdown."""
        hardware = self.conditions["hardware"]
        where = [hardware["cpu"], f"{self.subject.cores} cores", *hardware["gpus"]]
        unit = "images" if self.subject.detects else "requests"
        aim = "most throughput" + ("" if self.target_ms is None else f" with p99 of at most {self.target_ms:g} ms")
        lines = [
            f"# {self.model}, tuned",
            "",
            f"{self.subject.description}; {', '.join(map(str, where))}. Aim: {aim}.",
            "",
            f"**{self.gain()}**",
            "",
            f"| settings | clients | {unit}/s | p50 ms | p99 ms | CPU ms each | peak MiB | ÷ as it is |",
            "|---|---|---|---|---|---|---|---|",
            *(self._row(candidate) for candidate in self._ranked()),
            "",
            _HOW_TO_READ,
            "",
        ]
        lines += ["Latency against throughput, of everything measured:", ""]
        lines += ["| p99 ms | " + unit + "/s | clients | settings |", "|---|---|---|---|", *self._frontier(), ""]
        failures = [f"- {self._name(candidate)}: {reason}" for candidate, reason in self.found.failures.items()]
        lines += ["Could not be measured:", "", *failures, ""] if failures else []
        remarks = [*self.remarks, *self._doubts(unit)]
        lines += [*(f"- {remark}" for remark in remarks), ""] if remarks else []
        return "\n".join(lines)

    def outcome(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        verdict = self.found.verdict
        return {
            "target_ms": self.target_ms,
            "reached": self.reached,
            "subject": asdict(self.subject),
            "choice": self.found.choice.key(),
            "choice_in_words": self._name(self.found.choice),
            "ratios": [
                {"candidate": candidate.key(), "to_baseline": [_finite(ratio) for ratio in ratios]}
                for candidate, ratios in ({} if verdict is None else verdict.ratios).items()
            ],
            "points": [
                {
                    "candidate": candidate.key(),
                    "in_words": self._name(candidate),
                    "measured": [{name: _finite(value) for name, value in asdict(point).items()} for point in found],
                }
                for candidate, found in self.found.measured.items()
            ],
            "failures": [
                {"candidate": candidate.key(), "reason": reason} for candidate, reason in self.found.failures.items()
            ],
            "remarks": list(self.remarks),
            "config_before": self.before,
            "config_after": self.after,
        }

    def names(self) -> Mapping[Candidate, str]:
        """Everything that was measured, in words, the configuration as it is first."""
        return {candidate: self._name(candidate) for candidate in dict.fromkeys((BASELINE, *self._ranked()))}

    def _doubts(self, unit: str) -> list[str]:
        """What the machine did to the figures."""
        low, high = self.found.swing
        if high <= _STEADY * low or not low:
            return []
        told = (
            f"Under one load the configuration as it is gave {rate(low)} to {rate(high)} {unit} a second: "
            "the machine did other work meanwhile. Ratios may be read, single figures not."
        )
        return [told]

    def _name(self, candidate: Candidate) -> str:
        words = describe(candidate, self.subject)
        if candidate == BASELINE:
            return f"as it is ({words})"
        return f"the server's defaults ({words})" if is_defaults(candidate, self.subject) else words

    def _point(self, candidate: Candidate) -> Point | None:
        return operating_point(self.found.measured.get(candidate, ()), self.target_ms)

    def _ranked(self) -> list[Candidate]:
        def worth(candidate: Candidate) -> float:
            point = self._point(candidate)
            return 0.0 if point is None else point.throughput

        return sorted(self.found.measured, key=worth, reverse=True)

    def _row(self, candidate: Candidate) -> str:
        point = self._point(candidate)
        name = f"**{self._name(candidate)}**" if candidate == self.found.choice else self._name(candidate)
        shown = point or fastest(self.found.measured[candidate])
        if shown is None:
            return f"| {name} | – | – | – | – | – | – | – |"
        missed = " (too slow)" if point is None and math.isfinite(shown.p99_ms) else ""
        return (
            f"| {name} | {shown.clients} | {rate(shown.throughput)} | {milliseconds(shown.p50_ms)} "
            f"| {milliseconds(shown.p99_ms)}{missed} | {milliseconds(shown.cpu_ms)} | {shown.peak_mib:,.0f} "
            f"| {self._ratio(candidate)} |"
        )

    def _ratio(self, candidate: Candidate) -> str:
        verdict = self.found.verdict
        if candidate == BASELINE:
            return "1"
        ratios = () if verdict is None else verdict.ratios.get(candidate, ())
        if ratios:
            return f"{times(statistics.median(ratios))} ({times(min(ratios))}–{times(max(ratios))})"
        if candidate not in self.found.ratios:
            return "–"
        number, ratio = self.found.ratios[candidate]
        return f"{times(ratio)}, round {number}"

    def _frontier(self) -> list[str]:
        owners = {point: candidate for candidate, found in self.found.measured.items() for point in found}
        return [
            f"| {milliseconds(point.p99_ms)} | {rate(point.throughput)} | {point.clients} "
            f"| {self._name(owners[point])} |"
            for point in frontier(tuple(owners))
        ]


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
