"""What the sampler saw of the server, on the run's clock. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from loadtest.report.samples import Interval, Sample, closed_batches, failures, intervals, notes

_POINTS: Final = 240
"""More cannot be told apart on a page; long runs have the mean of several looks at each point."""


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
    looks = math.ceil(len(during) / _POINTS) or 1
    points = [during[first : first + looks] for first in range(0, len(during), looks)]
    return {
        "times_s": [round((lot[0].begin_s + lot[-1].end_s) / 2, 3) for lot in points],
        "cores": [_mean(one.cores for one in lot) for lot in points],
        "memory_mb": [_mean(_mb(one.resident_bytes) for one in lot) for lot in points],
        "waiting": [_mean(one.pending for one in lot) for lot in points],
        "open": [_mean(one.open for one in lot) for lot in points],
        "answered": [_mean(one.answered_per_second for one in lot) for lot in points],
        "batch_rows": [_mean(one.batch_rows for one in lot) for lot in points],
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


def _mb(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(sum(known) / len(known)) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
