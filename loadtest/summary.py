"""The figures of a finished load test, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.benchmark.spread import percentile
from loadtest.objectives import Counted, counted, is_unanswered
from loadtest.records import Finding, ObjectiveResult, RequestRecord, RunFacts, read_records
from pasarela_client.commands.tables import format_table

_HEADER: Final = ("answered", "failed", "per second", "p50 ms", "p95 ms", "p99 ms")
_METHODS: Final = {
    "raw": "ModelInfer",
    "stream": "StreamDetect",
    "slow": "StreamDetect, read slowly",
    "leaver": "leavers",
}


def describe_run(folder: Path) -> str:
    """Tables of what was asked, what was found, and the objectives."""
    facts, records = RunFacts.read(folder), read_records(folder)
    results = counted(facts, records)
    parts = [_by_request(results)] if results.records else ["  no request belongs to the results"]
    counting = [index for index, step in enumerate(facts.steps) if step.counts]
    if len(counting) > 1 and not any(finding.name in {"rate", "saturation"} for finding in facts.findings):
        parts.append(_by_step(facts, records, counting))
    if facts.findings:
        parts.append("\n".join(map(_finding, facts.findings)))
    if facts.objectives:
        parts.append(_objectives(facts.objectives))
    if facts.cut_short:
        why = f" ({facts.fault})" if facts.fault else ""
        parts.append(f"  cut short{why}: these are the figures of what was measured until then")
    elif facts.fault:
        parts.append(f"  not the load that was asked for: {facts.fault}")
    return "\n\n".join(parts)


def _by_request(results: Counted) -> str:
    groups, arrived = _by_kind(results.records), _by_kind(results.arrived)
    extra = _extra(results.records)
    rows = [["request", *_HEADER, *extra]]
    rows += [
        [" ".join(kind), *_row(Counted(group, results.steps, arrived[kind]), extra)] for kind, group in groups.items()
    ]
    return format_table(rows, right=range(1, len(rows[0])), indent="  ")


def _by_kind(records: Sequence[RequestRecord]) -> dict[tuple[str, str], list[RequestRecord]]:
    """By method and model, in the order in which they first came."""
    groups: dict[tuple[str, str], list[RequestRecord]] = {}
    for record in records:
        groups.setdefault((_METHODS.get(record.user, "Detect"), record.model), []).append(record)
    return groups


def _by_step(facts: RunFacts, records: Sequence[RequestRecord], counting: Sequence[int]) -> str:
    extra = _extra([record for record in records if record.step in set(counting)])
    rows = [["step", *_HEADER, *extra]]
    for index in counting:
        step = Counted([record for record in records if record.step == index], [facts.steps[index]], records)
        rows.append([facts.steps[index].name, *_row(step, extra)])
    return format_table(rows, right=range(1, len(rows[0])), indent="  ")


def _extra(records: Sequence[RequestRecord]) -> list[str]:
    """Columns that only some runs need."""
    there = {record.outcome for record in records}
    return [outcome for outcome in ("late", "refused", "unsent", "left") if outcome in there]


def _row(group: Counted, extra: Sequence[str]) -> list[str]:
    latencies_ms = group.latencies_ms
    times = [f"{percentile(latencies_ms, part):.0f}" if latencies_ms else "–" for part in (0.5, 0.95, 0.99)]
    answered = group.count(lambda record: record.answered)
    counts = [str(answered), str(group.count(is_unanswered))]
    return [*counts, f"{group.per_second:.1f}", *times, *(str(_outcomes(group, outcome)) for outcome in extra)]


def _outcomes(group: Counted, outcome: str) -> int:
    return group.count(lambda record: record.outcome == outcome)


def _finding(finding: Finding) -> str:
    if finding.value is None:
        value = "none found"
    else:
        value = f"{finding.value:.3g}{'' if finding.unit == '/s' else ' '}{finding.unit}".strip()
    low, high = finding.low, finding.high
    between = f" (between {low:.3g} and {high:.3g})" if low is not None and high is not None else ""
    return f"  {finding.name}: {value}{between}; {finding.explanation}"


def _objectives(results: Sequence[ObjectiveResult]) -> str:
    rows = [["", "objective", "wanted", "got"]]
    rows += [["✓" if one.met else "✗", one.name, one.wanted, one.got] for one in results]
    return format_table(rows, right=(), indent="  ")
