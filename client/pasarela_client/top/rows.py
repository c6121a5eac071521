"""Two readings → what each version did in between. Pure."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pasarela_client.histogram import Histogram
from pasarela_client.prometheus import Metrics
from pasarela_client.statistics import ModelTraffic, Statistics, version_key
from pasarela_client.timings import BETWEEN, STAGES
from pasarela_client.top.reading import LATENCIES, PENDING, SUCCESSES, SUMMARY_US, Reading

PERCENTS: Final = (50, 90, 99)
SORTS: Final = ("name", "requests", "failures", "rows", "batch", "queue", "use", "p50", "p90", "p99")
"""By what rows can be sorted: names rise, numbers fall."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one version did in the last interval. What is not known is None."""

    name: str
    version: str
    state: str
    reason: str = ""
    requests_per_s: float | None = None
    """Answered ones."""
    failures_per_s: float | None = None
    rows_per_s: float | None = None
    mean_batch_rows: float | None = None
    queued: int | None = None
    """Requests that waited for an instance at the end of the interval."""
    instances: int = 0
    use: float | None = None
    """Share of the time in which its instances computed, 0 to 1."""
    latency_ms: Mapping[int, float] = field(default_factory=dict)
    """By percent; on the server, from request to response. Infinite beyond the histogram's last bound."""
    last_bound_ms: float = math.inf
    """The histogram's last bound."""
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    """Means of a request by the four stages of the statistics, and what is left between them."""
    all_stages_ms: Mapping[str, float] = field(default_factory=dict)
    """The same by all stages that the server's metrics tell apart."""

    @property
    def full_name(self) -> str:
        """Model and version; a model that was never loaded has none."""
        return f"{self.name} {self.version}" if self.version else self.name

    @property
    def ready(self) -> bool:
        """Whether it answers requests."""
        return self.state == "READY"

    @property
    def busy(self) -> bool:
        """Whether it did anything, or failed to."""
        return bool(self.requests_per_s or self.failures_per_s or self.rows_per_s or self.queued)

    def to_dict(self) -> dict[str, Any]:
        """All of it in types that JSON knows; a latency beyond the last bound is null."""
        latencies = {
            f"p{percent}_ms": None if math.isinf(ms) else round(ms, 4)
            for percent in PERCENTS
            for ms in [self.latency_ms.get(percent, math.inf)]
        }
        stages = self.all_stages_ms or self.stages_ms
        return {
            "model": self.name,
            "version": self.version,
            "state": self.state,
            "reason": self.reason,
            "requests_per_s": _rounded(self.requests_per_s),
            "failures_per_s": _rounded(self.failures_per_s),
            "rows_per_s": _rounded(self.rows_per_s),
            "mean_batch_rows": _rounded(self.mean_batch_rows),
            "queued": self.queued,
            "instances": self.instances,
            "instance_use": _rounded(self.use),
            **latencies,
            "stages_ms": {stage: round(ms, 4) for stage, ms in stages.items()},
        }


def make_rows(earlier: Reading | None, later: Reading) -> list[Row]:
    """A row for each version that the server knows.

    Args:
        earlier: The reading before; without one there are states only.
        later: The reading.
    """
    traffic: dict[tuple[str, str], ModelTraffic] = {}
    if earlier is not None and earlier.statistics is not None and later.statistics is not None:
        traffic = {(each.name, each.version): each for each in later.statistics - earlier.statistics}
    trusted = later.metrics is not None and metrics_fit(earlier, later)
    before = earlier.metrics if earlier is not None and trusted else None
    after = later.metrics if trusted else None
    rows = []
    for state in later.states:
        key = (state.name, state.version)
        told = {"model": state.name, "version": state.version}
        measured = _measured(traffic[key], later.instances.get(key, 0)) if key in traffic else {}
        if measured and measured["requests_per_s"] and before and after:
            measured |= _latencies(before, after, told)
        queued = after.value(PENDING, **told) if after and state.ready else None
        rows.append(
            Row(
                state.name,
                state.version,
                state.state,
                state.reason,
                queued=None if queued is None else round(queued),
                instances=later.instances.get(key, 0),
                **measured,
            )
        )
    return rows


def metrics_fit(earlier: Reading | None, later: Reading) -> bool:
    """Whether the metrics are those of the server that is asked: another one may have its own at that address.

    Statistics are read before metrics, so what the metrics count lies between what the statistics of this reading and
    those of the next say. Servers may be a little late in telling one of them.
    """
    readings = [reading for reading in (earlier, later) if reading is not None]
    for reading in readings:
        if reading.statistics is None or reading.metrics is None or SUCCESSES not in reading.metrics:
            continue
        if any(counted < told - _slack(told) for told, counted in _counts(reading.statistics, reading.metrics)):
            return False
    if earlier is not None and earlier.metrics is not None and later.statistics is not None:
        known = _counts(later.statistics, earlier.metrics) if SUCCESSES in earlier.metrics else []
        began_anew = {
            (each.name, each.version)
            for each in (later.statistics - earlier.statistics if earlier.statistics is not None else ())
            if each.began_anew
        }
        if not began_anew and any(counted > told + _slack(told) for told, counted in known):
            return False
    return True


def choose(
    rows: Iterable[Row], *, names: Sequence[str] = (), busy: bool = False, sort: str = "name", reverse: bool = False
) -> list[Row]:
    """The rows that are wanted, in order.

    Args:
        rows: All of them.
        names: Shell patterns (`garments_*`) of which one fits the model's name; none: all models.
        busy: Only versions that did anything.
        sort: One of `SORTS`.
        reverse: The other way round.
    """
    wanted = [
        row
        for row in rows
        if (not names or any(fnmatch.fnmatchcase(row.name, pattern) for pattern in names)) and (row.busy or not busy)
    ]
    wanted.sort(key=lambda row: (row.name, version_key(row.version)), reverse=reverse and sort == "name")
    if sort != "name":
        # Two times stable: rows of the same number stay in the order of their names, the unknown ones at the end.
        wanted.sort(key=lambda row: _amount(row, sort) or 0.0, reverse=not reverse)
        wanted.sort(key=lambda row: _amount(row, sort) is None)
    return wanted


def _amount(row: Row, sort: str) -> float | None:
    amounts = {
        "requests": row.requests_per_s,
        "failures": row.failures_per_s,
        "rows": row.rows_per_s,
        "batch": row.mean_batch_rows,
        "queue": row.queued,
        "use": row.use,
        **{f"p{percent}": row.latency_ms.get(percent) for percent in PERCENTS},
    }
    return amounts[sort]


def _measured(traffic: ModelTraffic, instances: int) -> dict[str, Any]:
    return {
        "requests_per_s": traffic.requests_per_s,
        "failures_per_s": traffic.failures_per_s,
        "rows_per_s": traffic.rows_per_s,
        "mean_batch_rows": traffic.mean_batch_rows if traffic.executions else None,
        "use": traffic.busy(instances) if instances else None,
        "stages_ms": {stage: ns / 1e6 for stage, ns in traffic.stages_ns.items()},
    }


def _latencies(before: Metrics, after: Metrics, told: Mapping[str, str]) -> dict[str, Any]:
    """Percentiles, and means of all stages."""
    grown = after.histogram(LATENCIES, stage="request", **told) - before.histogram(LATENCIES, stage="request", **told)
    if not grown.count:
        return {"latency_ms": _summary_ms(after, told)}
    percentiles = {percent: grown.percentile(percent) for percent in PERCENTS}
    return {
        "latency_ms": {percent: s * 1e3 for percent, s in percentiles.items() if s is not None},
        "last_bound_ms": grown.bounds[-1] * 1e3 if grown.bounds else math.inf,
        "all_stages_ms": _stage_means(before, after, told, grown),
    }


def _summary_ms(metrics: Metrics, told: Mapping[str, str]) -> dict[int, float]:
    """Percentiles as Triton tells them itself: over about the last minute."""
    quantiles = {
        float(sample.labels["quantile"]) * 100: sample.value / 1e3
        for sample in metrics.samples(SUMMARY_US, **told)
        if "quantile" in sample.labels and math.isfinite(sample.value)
    }
    return {percent: ms for percent in PERCENTS for known, ms in quantiles.items() if math.isclose(known, percent)}


def _stage_means(before: Metrics, after: Metrics, told: Mapping[str, str], whole: Histogram) -> dict[str, float]:
    means: dict[str, float] = {}
    for stage in STAGES:
        grown = after.histogram(LATENCIES, stage=stage, **told) - before.histogram(LATENCIES, stage=stage, **told)
        if grown.count:
            means[stage] = grown.total / whole.count * 1e3
    return means | {BETWEEN: max(0.0, whole.total / whole.count * 1e3 - sum(means.values()))}


def _counts(statistics: Statistics, metrics: Metrics) -> list[tuple[float, float]]:
    """What the statistics and what the metrics count, for each version."""
    return [
        (each.answered.count, metrics.value(SUCCESSES, model=each.name, version=each.version) or 0.0)
        for each in statistics
    ]


def _slack(count: float) -> float:
    return max(16.0, count / 50)


def _rounded(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 4)
