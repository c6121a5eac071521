"""The figures of a finished load test, out of what Locust wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasarela_client.commands.tables import format_table


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """How one kind of request fared."""

    name: str
    requests: int
    failures: int
    duration_s: float
    """From the first request of this kind to the last."""
    times_ms: Mapping[float, int]
    """Latency to number of requests; Locust rounds long ones to two digits."""

    @property
    def per_second(self) -> float:
        """Requests that succeeded, per second."""
        return (self.requests - self.failures) / self.duration_s if self.duration_s > 0 else 0.0

    def percentile_ms(self, fraction: float) -> float:
        """The latency that this part of the requests stayed at or below, failures included."""
        passed = 0
        for time_ms in sorted(self.times_ms):
            passed += self.times_ms[time_ms]
            if passed >= fraction * self.requests:
                return time_ms
        return 0.0


def read_summary(path: Path) -> list[RequestSummary]:
    """Reads the file that `locust --json-file` wrote."""
    entries: list[dict[str, Any]] = json.loads(path.read_text())
    return [
        RequestSummary(
            name=entry["name"],
            requests=entry["num_requests"],
            failures=entry["num_failures"],
            duration_s=entry["last_request_timestamp"] - entry["start_time"],
            times_ms={float(time_ms): count for time_ms, count in entry["response_times"].items()},
        )
        for entry in entries
    ]


def format_summary(summaries: Sequence[RequestSummary]) -> str:
    """A table for the terminal: one line for each kind of request."""
    rows = [["request", "done", "failed", "per second", "p50 ms", "p95 ms", "p99 ms"]]
    rows += [
        [
            one.name,
            str(one.requests - one.failures),
            str(one.failures),
            f"{one.per_second:.1f}",
            *(f"{one.percentile_ms(fraction):.0f}" for fraction in (0.5, 0.95, 0.99)),
        ]
        for one in summaries
    ]
    return format_table(rows, right=range(1, 7), indent="  ")
