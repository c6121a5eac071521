"""What the sampler saw of the server, on the run's clock. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loadtest.report.samples import Interval, Sample, closed_batches, failures, intervals, notes


def on_run_clock(samples: Sequence[Sample], started_at: float) -> list[Sample]:
    """The same samples, with times on the run's clock."""
    return [replace(sample, time_s=sample.time_s - started_at) for sample in samples]


def server_side(samples: Sequence[Sample], ends_s: float) -> dict[str, Any] | None:
    """Series and counts for the report; None if nothing was seen.

    Args:
        samples: On the run's clock.
        ends_s: When the run ended.
    """
    seen = intervals(samples)
    told = notes(samples)
    if not seen and not told:
        return None
    during = [one for one in seen if one.middle_s <= ends_s]
    return {
        "times_s": [round(one.middle_s, 3) for one in during],
        "cores": [_rounded(one.cores) for one in during],
        "memory_mb": [_rounded(None if one.resident_bytes is None else one.resident_bytes / 1e6) for one in during],
        "waiting": [_rounded(one.pending) for one in during],
        "open": [_rounded(one.open) for one in during],
        "answered": [_rounded(one.answered_per_second) for one in during],
        "batch_rows": [_rounded(one.batch_rows) for one in during],
        "stages_ms": _stages(during),
        "processes": max((sample.process.processes for sample in samples if sample.process is not None), default=0),
        "closed": closed_batches(samples),
        "failures": failures(samples),
        "notes": told,
    }


def _stages(seen: Sequence[Interval]) -> dict[str, float | None]:
    """The mean of each stage over all that the server answered, whoever had asked."""
    counts: dict[str, float] = {}
    sums_s: dict[str, float] = {}
    for one in seen:
        for stage, (count, sum_s) in one.stages_s.items():
            counts[stage] = counts.get(stage, 0.0) + count
            sums_s[stage] = sums_s.get(stage, 0.0) + sum_s
    return {stage: _rounded(sums_s[stage] / count * 1e3) for stage, count in counts.items() if count}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
