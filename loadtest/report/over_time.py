"""What a run looked like from window to window: the series of the charts. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from loadtest.report.distribution import percentile
from loadtest.report.requests import Bools, Floats, Requests
from loadtest.report.windows import Windows
from pasarela_client.timings import BETWEEN

Series = list[float | None]
"""A value for each window; None where there is none."""

OUTSIDE: Final = "outside"
"""What the server did not see of a latency: the network, gRPC on both sides, the client's own work and lag."""
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "queue": ("decode_queue", "queue", "nms_queue"),
    "image": ("decode", "letterbox", "preprocess"),
    "network": ("batch", "infer", "split"),
    "suppression": ("nms", "postprocess"),
    "messages": ("receive", "encode", BETWEEN),
    OUTSIDE: (),
}
"""Stages that are drawn together, in the order in which they are stacked."""
GROUP_LABELS: Final[Mapping[str, str]] = {
    "queue": "waiting in queues",
    "image": "decoding and letterbox",
    "network": "batch and inference",
    "suppression": "suppression",
    "messages": "messages and threads",
    OUTSIDE: "outside the server",
}


@dataclass(frozen=True, slots=True)
class OverTime:
    """Series over the windows of a run, all equally long."""

    begins_s: list[float]
    """On the run's clock."""
    ends_s: list[float]
    offered: Series
    """Requests that were due, per second."""
    served: Series
    """Answers that came in time, per second."""
    p50_ms: Series
    """Of requests that were due in the window, as the other percentiles."""
    p95_ms: Series
    p99_ms: Series
    bad: dict[str, Series] = field(default_factory=dict)
    """By what went wrong: requests per second."""
    stages_ms: dict[str, Series] = field(default_factory=dict)
    """By group of stages: the mean of the requests whose times the server told."""
    batch_rows: Series = field(default_factory=list)
    """Mean rows of the batches that requests travelled in."""

    def to_json(self) -> dict[str, Any]:
        """Numbers of six digits, null where there is none."""
        return asdict(self)


def over_time(requests: Requests, windows: Windows) -> OverTime:
    """The series of a run.

    Args:
        requests: All of them, the warm-up too.
        windows: All of the run's time.
    """
    lengths = windows.seconds
    timed = requests.timed
    due = windows.of(requests.due_s)
    latencies = [requests.latency_ms[(due == number) & timed] for number in range(windows.count)]

    def rate(times_s: Floats, rows: Bools | None = None) -> Series:
        return _series(windows.counts(times_s, rows) / lengths)

    def at(fraction: float) -> Series:
        return _series([percentile(of_window, fraction) for of_window in latencies])

    wrong, names = requests.bad, _fault_names(requests)
    return OverTime(
        begins_s=[round(one, 3) for one in windows.begins_s.tolist()],
        ends_s=[round(one, 3) for one in windows.ends_s.tolist()],
        offered=rate(requests.due_s),
        served=rate(requests.done_s, requests.answered),
        p50_ms=at(0.5),
        p95_ms=at(0.95),
        p99_ms=at(0.99),
        bad={name: rate(requests.due_s, wrong & (names == name)) for name in dict.fromkeys(names[wrong].tolist())},
        stages_ms=stages_over_time(requests, windows),
        batch_rows=_means(requests.batch_rows, due, windows.count),
    )


def fault_name(outcome: str, status: str) -> str:
    """What went wrong, for legends: the outcome, and the status where it says more."""
    return outcome if status in {"", "OK"} else f"{outcome}: {status}"


def grouped_stages_ms(requests: Requests) -> dict[str, Floats]:
    """Time by group of stages, a value for each request; NaN where the server did not tell."""
    groups: dict[str, Floats] = {}
    for name, stages in GROUPS.items():
        columns = [requests.stages_ms[stage] for stage in stages if stage in requests.stages_ms]
        if columns:
            groups[name] = np.sum(columns, axis=0)
    if groups:
        groups[OUTSIDE] = np.maximum(0.0, requests.latency_ms - requests.server_ms)
    return groups


def stages_over_time(requests: Requests, windows: Windows) -> dict[str, Series]:
    """Means by window; only of requests that were answered and whose times the server told."""
    told = requests.where(requests.timed & np.isfinite(requests.server_ms))
    due = windows.of(told.due_s)
    return {name: _means(column, due, windows.count) for name, column in grouped_stages_ms(told).items()}


def _fault_names(requests: Requests) -> Any:
    names = [fault_name(*pair) for pair in zip(requests.outcome, requests.status, strict=True)]
    return np.array(names, dtype=object)


def _means(values: Floats, window: Any, count: int) -> Series:
    known = (window >= 0) & np.isfinite(values)
    sums = np.bincount(window[known], weights=values[known], minlength=count)
    numbers = np.bincount(window[known], minlength=count)
    return _series([total / number if number else math.nan for total, number in zip(sums, numbers, strict=True)])


def _series(values: Sequence[float] | Floats) -> Series:
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
