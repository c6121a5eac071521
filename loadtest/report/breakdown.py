"""A run by kind: by user and model, by step, by outcome and status, by stage, and what came of frames. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from loadtest.records import OUTCOMES, StepFacts
from loadtest.report.distribution import PERCENTILES, percentile
from loadtest.report.figures import figures_of
from loadtest.report.over_time import grouped_stages_ms
from loadtest.report.requests import ALL_STAGES, Floats, Requests
from loadtest.report.samples import Interval
from loadtest.report.windows import resampling_windows

_MOST_MESSAGES = 40


def by_kind(requests: Requests, steps: Sequence[StepFacts], everything: Requests) -> list[dict[str, Any]]:
    """A row for each kind of user and model: counts, answers per second, percentiles.

    Args:
        requests: What counts.
        steps: Those that count.
        everything: All of the run, as answers that came in its time may have been asked for before.
    """

    def of_kind(among: Requests, user: str, model: str) -> Requests:
        return among.where(np.asarray((among.user == user) & (among.model == model), dtype=np.bool_))

    pairs = sorted(set(zip(requests.user, requests.model, strict=True)))
    rows = []
    for user, model in pairs:
        counts = _counts(of_kind(requests, user, model), steps, of_kind(everything, user, model))
        rows.append({"user": user, "model": model, **counts})
    return rows


def by_step(requests: Requests, steps: Sequence[StepFacts], server: Sequence[Interval]) -> list[dict[str, Any]]:
    """A row for each step that counts, with its figures and their noise.

    Args:
        requests: All of the run.
        steps: All of the run's; `Requests.step` points into it.
        server: What the server did, on the run's clock.
    """
    rows = []
    for number, step in enumerate(steps):
        if not step.counts:
            continue
        part = requests.where(np.asarray(requests.step == number, dtype=np.bool_))
        rows.append(
            {
                "name": step.name,
                "begins_s": round(step.begins_s, 3),
                "ends_s": round(step.ends_s, 3),
                "loop": step.loop,
                "rate_from": step.rate_from,
                "rate_to": step.rate_to,
                "users": step.users,
                **_counts(part, [step], requests),
                "figures": [
                    figure.to_json() for figure in figures_of(part, resampling_windows([step]), server, requests)
                ],
            }
        )
    return rows


def by_outcome(requests: Requests) -> dict[str, int]:
    """How many ended in each way; all ways, also those that none did."""
    counted = Counter(requests.outcome.tolist())
    return {outcome: counted.get(outcome, 0) for outcome in OUTCOMES}


def faults(requests: Requests) -> list[dict[str, Any]]:
    """What went wrong, the most frequent first: outcome, status, message, how often, and when first."""
    wrong = requests.where(requests.bad)
    keys = list(zip(wrong.outcome, wrong.status, wrong.message, strict=True))
    first: dict[tuple[str, str, str], float] = {}
    for key, due_s in zip(keys, wrong.due_s, strict=True):
        first.setdefault(key, float(due_s))
    return [
        {"outcome": key[0], "status": key[1], "message": key[2], "count": count, "first_s": round(first[key], 3)}
        for key, count in Counter(keys).most_common(_MOST_MESSAGES)
    ]


def by_stage(requests: Requests) -> list[dict[str, Any]]:
    """Mean, p50 and p99 of the time in each stage, and its part of the latency, in the order of a request."""
    told = requests.where(requests.timed & np.isfinite(requests.server_ms))
    if not len(told):
        return []
    groups = grouped_stages_ms(told)
    columns: dict[str, Floats] = {stage: told.stages_ms[stage] for stage in ALL_STAGES if stage in told.stages_ms}
    columns["outside"] = groups["outside"]
    latency_ms = float(told.latency_ms.mean())
    return [
        {
            "stage": stage,
            "mean_ms": _rounded(float(column.mean())),
            "p50_ms": _rounded(percentile(column, 0.5)),
            "p99_ms": _rounded(percentile(column, 0.99)),
            "share": _rounded(float(column.mean()) / latency_ms) if latency_ms else None,
        }
        for stage, column in columns.items()
    ]


def frames(requests: Requests) -> dict[str, Any] | None:
    """What came of the frames of streams; None if there were none."""
    part = requests.where(requests.is_frame)
    if not len(part):
        return None
    counted = by_outcome(part)
    lag_ms = (part.sent_s - part.due_s)[np.isfinite(part.sent_s)] * 1e3
    return {
        "offered": len(part),
        **counted,
        "sent_late_p99_ms": _rounded(percentile(lag_ms, 0.99)),
    }


def batch_sizes(requests: Requests) -> dict[int, int]:
    """How many requests travelled in a batch of so many rows."""
    told = requests.batch_rows[np.isfinite(requests.batch_rows)].astype(np.int64)
    return {int(rows): int(count) for rows, count in zip(*np.unique(told, return_counts=True), strict=True)}


def generator_lag_ms(requests: Requests) -> float | None:
    """The p99 of how late open requests were sent; None without any."""
    sent = requests.is_open & np.isfinite(requests.sent_s)
    return _rounded(percentile((requests.sent_s - requests.due_s)[sent] * 1e3, 0.99))


def _counts(requests: Requests, steps: Sequence[StepFacts], everything: Requests) -> dict[str, Any]:
    seconds = sum(step.ends_s - step.begins_s for step in steps)
    done_s = everything.done_s[everything.answered]
    in_time = sum(int(((done_s >= step.begins_s) & (done_s < step.ends_s)).sum()) for step in steps)
    latencies = requests.latency_ms[requests.timed]
    return {
        "requests": len(requests),
        "done": int(requests.answered.sum()),
        "failed": int(requests.unanswered.sum()),
        "untimely": int(requests.untimely.sum()),
        "left": int((requests.outcome == "left").sum()),
        "per_second": _rounded(in_time / seconds) if seconds > 0 else None,
        **{f"p{fraction * 100:g}_ms": _rounded(percentile(latencies, fraction)) for fraction in PERCENTILES},
        "max_ms": _rounded(float(latencies.max())) if len(latencies) else None,
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
