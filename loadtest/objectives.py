"""Whether a run met its objectives. Pure but for reading the run's folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from loadtest.benchmark.spread import percentile
from loadtest.records import ObjectiveResult, RequestRecord, RunFacts, StepFacts, read_records
from loadtest.scenario import Objectives
from loadtest.scenario.read import parse_scenario

NOT_MEASURED: Final = "–"
_PERCENTILES: Final = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
_SOUGHT: Final = {"find-rate": "rate", "knee": "knee"}
"""By kind of load: the finding that it is run for."""
_ANY: Final = "> 0"
_UNANSWERED: Final = frozenset({"refused", "failed", "lost"})


@dataclass(frozen=True, slots=True)
class Counted:
    """The requests of a run that are its results, or some of them, and the time in which they were due."""

    records: Sequence[RequestRecord]
    steps: Sequence[StepFacts]
    arrived: Sequence[RequestRecord]
    """All of the run's requests of this kind: answers that came in its time may have been asked for before."""

    @property
    def seconds(self) -> float:
        """Of load."""
        return sum(step.ends_s - step.begins_s for step in self.steps)

    @property
    def latencies_ms(self) -> list[float]:
        """Of those that were answered, in time or not."""
        return [record.latency_s * 1000 for record in self.records if record.latency_s is not None and record.answered]

    @property
    def per_second(self) -> float:
        """Answers in time that came while the load lasted, per second of it."""
        came = sum(
            record.outcome == "done" and any(step.begins_s <= (record.done_s or 0) < step.ends_s for step in self.steps)
            for record in self.arrived
        )
        return came / self.seconds if self.seconds else 0.0

    def count(self, holds: Callable[[RequestRecord], bool]) -> int:
        """How many are like that."""
        return sum(map(holds, self.records))


def counted(facts: RunFacts, records: Sequence[RequestRecord]) -> Counted:
    """What of a run's requests are its results."""
    chosen = [record for record in records if record.step < len(facts.steps) and facts.steps[record.step].counts]
    return Counted(chosen, [step for step in facts.steps if step.counts], records)


def is_unanswered(record: RequestRecord) -> bool:
    """Whether its client was still there and got nothing it can use."""
    return record.outcome in _UNANSWERED or (record.outcome == "late" and not record.answered)


def judge(objectives: Objectives, facts: RunFacts, results: Counted) -> tuple[ObjectiveResult, ...]:
    """Each objective that is set, with what was measured; one by which nothing was measured is not met.

    That a search finds anything is an objective that need not be set: it is told where it was missed.
    """
    judged: list[ObjectiveResult] = []
    for name in (entry.name for entry in fields(objectives)):
        bound = getattr(objectives, name)
        if bound is None:
            continue
        got = _measure(name, facts, results)
        shown = NOT_MEASURED if got is None else bound.show(got)
        judged.append(ObjectiveResult(name, str(bound), shown, met=got is not None and bound.holds(got)))
    sought = _SOUGHT.get(facts.scenario["load"]["kind"])
    nothing = any(finding.name == sought and finding.value is None for finding in facts.findings)
    if sought is not None and nothing and getattr(objectives, sought) is None:
        judged.append(ObjectiveResult(sought, _ANY, NOT_MEASURED, met=False))
    return tuple(judged)


def _measure(name: str, facts: RunFacts, results: Counted) -> float | None:
    records = results.records
    if name in _PERCENTILES:
        latencies_ms = results.latencies_ms
        return percentile(latencies_ms, _PERCENTILES[name]) if latencies_ms else None
    if name in {"rate", "knee"}:
        return next((finding.value for finding in facts.findings if finding.name == name), None)
    if not records:
        return None
    match name:
        case "throughput":
            return results.per_second
        case "late_frames":
            frames = [record for record in records if record.stream is not None and record.outcome != "left"]
            return (
                sum(record.outcome in {"late", "lost", "unsent"} for record in frames) / len(frames) if frames else None
            )
        case "unsent":
            return results.count(lambda record: record.outcome == "unsent") / len(records)
        case "refused":
            return results.count(lambda record: record.outcome == "refused") / len(records)
        case "failed":
            return results.count(is_unanswered) / len(records)
    raise AssertionError(name)


def judged(folder: Path, facts: RunFacts) -> RunFacts:
    """The facts with their objectives judged by the records in the run's folder."""
    scenario = parse_scenario(facts.scenario, facts.name)
    results = counted(facts, read_records(folder))
    return dataclasses.replace(facts, objectives=judge(scenario.objectives, facts, results))
