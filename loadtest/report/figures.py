"""The headline figures of a run, or of a part of it, each with its noise. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

import numpy as np

from loadtest.report.distribution import percentile
from loadtest.report.noise import Estimate, Scale, estimate
from loadtest.report.requests import Bools, Floats, Requests
from loadtest.report.samples import Interval
from loadtest.report.windows import Windows

Better = Literal["low", "high", "neither"]

_GRAIN: Final = 0.001
"""Resampled percentiles are read off bins of this ratio."""
_TAIL: Final = 5
"""Nothing is said of the noise of a percentile that fewer requests lie beyond."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a figure is, whatever its value."""

    label: str
    unit: str
    better: Better
    floor: float
    """Least change that is marked: a part of the old value, or for shares a difference."""


KINDS: Final[Mapping[str, Kind]] = {
    "served": Kind("Throughput", "/s", "high", 0.03),
    "p50_ms": Kind("p50 latency", "ms", "low", 0.05),
    "p95_ms": Kind("p95 latency", "ms", "low", 0.05),
    "p99_ms": Kind("p99 latency", "ms", "low", 0.05),
    "failed": Kind("Failed", "%", "low", 0.001),
    "late_frames": Kind("Frames too late", "%", "low", 0.001),
    "cores": Kind("Server CPU", "cores", "neither", 0.05),
    "memory_mb": Kind("Server memory", "MB", "low", 0.05),
    "cpu_ms": Kind("Server CPU per request", "ms", "low", 0.05),
    "offered": Kind("Offered", "/s", "neither", 0.03),
}
"""By name, in the order in which a page shows them. Shares are from 0 to 1 and shown in per cent."""
_PERCENTILES: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline figure."""

    name: str
    """One of `KINDS`."""
    estimate: Estimate

    @property
    def kind(self) -> Kind:
        """What it is."""
        return KINDS[self.name]

    def to_json(self) -> dict[str, Any]:
        """Self-explaining: with label, unit, and the floor of comparisons."""
        kind = self.kind
        return {
            "name": self.name,
            "label": kind.label,
            "unit": "share" if kind.unit == "%" else kind.unit,
            "better": kind.better,
            "floor": kind.floor,
            **self.estimate.to_json(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            KeyError: It is of a later version's kind.
        """
        if content["name"] not in KINDS:
            raise KeyError(content["name"])
        return cls(content["name"], Estimate.from_json(content))


def figures_of(
    requests: Requests, windows: Windows, server: Sequence[Interval] = (), arrived: Requests | None = None
) -> list[Figure]:
    """Those that can be told of some requests.

    Args:
        requests: What counts, and nothing else.
        windows: The time that they were due in, cut.
        server: What the server did, on the run's clock.
        arrived: All of the run, as answers that came in this time may have been asked for before; None takes only
            what counts.
    """
    if not len(requests) or not windows.count:
        return []
    draws = windows.draws()
    lengths = windows.seconds

    def rate(name: str, times_s: Floats, rows: Bools) -> Figure:
        counts = windows.counts(times_s, rows)
        value = float(counts.sum() / lengths.sum())
        return Figure(name, estimate(value, (draws @ counts) / (draws @ lengths), windows))

    def share(name: str, of: Bools, among: Bools) -> Figure:
        part, whole = windows.counts(requests.due_s, of & among), windows.counts(requests.due_s, among)
        value = float((of & among).sum() / among.sum())
        with np.errstate(invalid="ignore"):
            again = (draws @ part) / (draws @ whole)
        found = estimate(value, again, windows, scale="difference")
        if found.error is not None:
            # What was never seen may happen all the same: a share is known to one request at best.
            found = replace(found, error=max(found.error, 1 / float(among.sum())))
        return Figure(name, found)

    came = requests if arrived is None else arrived
    figures = [rate("served", came.done_s, came.answered)]
    figures += _latencies(requests, windows, draws)
    everything = np.ones(len(requests), dtype=np.bool_)
    figures.append(share("failed", requests.unanswered, everything))
    frames = requests.is_frame & (requests.outcome != "left")
    if frames.any():
        missed = np.isin(requests.outcome.astype(str), ["late", "lost", "unsent"])
        figures.append(share("late_frames", missed, frames))
    figures += _of_server(came, windows, draws, server)
    figures.append(rate("offered", requests.due_s, everything))
    order = list(KINDS)
    return sorted(figures, key=lambda figure: order.index(figure.name))


def _latencies(requests: Requests, windows: Windows, draws: Floats) -> list[Figure]:
    timed = requests.timed
    latencies = requests.latency_ms[timed]
    if not len(latencies):
        return []
    bins = np.floor(np.log(np.maximum(latencies, 1e-6)) / _GRAIN).astype(np.int64)
    found = windows.of(requests.due_s[timed])
    inside = found >= 0
    # Only the bins that occur: of a long tail most are empty.
    used, position = np.unique(bins[inside], return_inverse=True)
    table = np.zeros((windows.count, len(used)))
    np.add.at(table, (found[inside], position), 1.0)
    reached = np.cumsum(draws @ table, axis=1)
    middles = np.exp((used + 0.5) * _GRAIN)
    figures = []
    for name, fraction in _PERCENTILES.items():
        value = percentile(latencies, fraction)
        if len(latencies) * (1 - fraction) < _TAIL or not len(used):
            figures.append(Figure(name, Estimate(value)))
            continue
        ranks = (reached < fraction * reached[:, -1:]).sum(axis=1)
        figures.append(Figure(name, estimate(value, middles[np.minimum(ranks, len(used) - 1)], windows)))
    return figures


def _of_server(came: Requests, windows: Windows, draws: Floats, server: Sequence[Interval]) -> list[Figure]:
    """Cores, memory, and CPU for each answer, where the server's process could be seen."""
    seen = [one for one in server if one.cores is not None and one.resident_bytes is not None]
    found = windows.of(np.array([one.middle_s for one in seen], dtype=np.float64))
    chosen = [(one, int(window)) for one, window in zip(seen, found, strict=True) if window >= 0]
    if not chosen:
        return []
    busy, seconds, resident, looks = (np.zeros(windows.count) for _ in range(4))
    for one, window in chosen:
        length_s = one.end_s - one.begin_s
        busy[window] += (one.cores or 0.0) * length_s
        seconds[window] += length_s
        resident[window] += (one.resident_bytes or 0) / 1e6
        looks[window] += 1
    answered = windows.counts(came.done_s, came.answered)

    def ratio(name: str, above: Floats, below: Floats, scale: Scale = "ratio") -> Figure:
        with np.errstate(invalid="ignore", divide="ignore"):
            again = (draws @ above) / (draws @ below)
        value = float(above.sum() / below.sum()) if below.sum() else math.nan
        return Figure(name, estimate(value, again, windows, scale=scale))

    figures = [ratio("cores", busy, seconds), ratio("memory_mb", resident, looks)]
    if answered.sum():
        # Per second on both sides: the looks at the server do not fill the windows to their ends.
        served = answered / windows.seconds * seconds
        figures.append(ratio("cpu_ms", busy * 1e3, served))
    return figures
