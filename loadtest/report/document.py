"""The report as a document of JSON types, with a versioned schema: all that the page shows. Pure but for files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from loadtest.records import RequestRecord, RunFacts, StepFacts
from loadtest.report import breakdown
from loadtest.report.distribution import PERCENTILES, histogram, percentile, percentile_curve
from loadtest.report.figures import figures_of
from loadtest.report.generator import GeneratorLimit, beside_limit
from loadtest.report.over_time import over_time
from loadtest.report.requests import Requests, that_count
from loadtest.report.samples import Sample, intervals
from loadtest.report.server_side import on_run_clock, server_side
from loadtest.report.windows import drawing_windows, resampling_windows

SCHEMA: Final = 1
"""Of `report.json`; raised when what is there changes its meaning, not when something is added."""
REPORT_FILE: Final = "report.json"


class NoReport(Exception):
    """A report cannot be made or read; the message says of what, why, and what to do."""


def build(
    run: RunFacts,
    records: Sequence[RequestRecord],
    samples: Sequence[Sample] = (),
    limit: GeneratorLimit | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The document of a run, without a comparison.

    Args:
        run: Its facts.
        records: All its requests.
        samples: What was seen of the server, in seconds since the epoch.
        limit: The generator's, if it was measured.
        notes: What else is to be said, in sentences.
    """
    requests = Requests.of(records)
    steps = _until(run.steps, run.ended_s)
    counting = [step for step in steps if step.counts]
    counted = that_count(requests, run.steps)
    clocked = on_run_clock(samples, run.started_at)
    seen = intervals(clocked)
    seconds = sum(step.ends_s - step.begins_s for step in counting)
    drawn = over_time(requests, drawing_windows(steps))
    latencies = counted.latency_ms[counted.timed]
    return {
        "schema": SCHEMA,
        "title": run.title,
        "name": run.name,
        "models": list(run.models),
        "url": run.url,
        "started_at": datetime.fromtimestamp(run.started_at, UTC).isoformat(timespec="seconds"),
        "ended_s": round(run.ended_s, 3),
        "warm_up_s": round(run.warm_up_s, 3),
        "counted_s": round(seconds, 3),
        "cut_short": run.cut_short,
        "fault": run.fault,
        "loops": sorted({step.loop for step in counting}),
        "server_ready_s": run.server_ready_s,
        "requests": {"all": len(requests), "counted": len(counted)},
        "objectives": [asdict(objective) for objective in run.objectives],
        "findings": [asdict(finding) for finding in run.findings],
        "headline": [figure.to_json() for figure in figures_of(counted, resampling_windows(counting), seen, requests)],
        "steps": breakdown.by_step(requests, steps, seen),
        "kinds": breakdown.by_kind(counted, counting, requests),
        "outcomes": breakdown.by_outcome(counted),
        "faults": breakdown.faults(counted),
        "frames": breakdown.frames(counted),
        "over_time": drawn.to_json(),
        "percentiles": [
            {"fraction": fraction, "latency_ms": float(f"{percentile(latencies, fraction):.6g}")}
            for fraction in (*PERCENTILES, 1.0)
            if len(latencies)
        ],
        "curve": [
            [round(point.fraction, 9), float(f"{point.latency_ms:.6g}")] for point in percentile_curve(latencies)
        ],
        "histogram": [
            [float(f"{one.from_ms:.6g}"), float(f"{one.to_ms:.6g}"), one.count] for one in histogram(latencies)
        ],
        "stages": breakdown.by_stage(counted),
        "batch_sizes": {str(rows): count for rows, count in breakdown.batch_sizes(counted).items()},
        "server": server_side(clocked, run.ended_s),
        "generator": dict(
            beside_limit(limit, _busiest(requests, steps), breakdown.generator_lag_ms(counted), run.overrun)
        ),
        "comparison": None,
        "scenario": dict(run.scenario),
        "conditions": {**run.conditions, "workers": run.workers, "seeds": list(run.seeds)},
        "notes": list(notes),
    }


def _until(steps: Sequence[StepFacts], ends_s: float) -> list[StepFacts]:
    """What there was of the steps: of a run that was cut short the last ones never began."""
    return [replace(step, ends_s=min(step.ends_s, ends_s)) for step in steps if step.begins_s < ends_s]


def _busiest(requests: Requests, steps: Sequence[StepFacts]) -> float | None:
    """Requests that were really sent, per second, in the step that asked most of the generator."""
    sent_s = requests.sent_s[np.isfinite(requests.sent_s)]
    rates = []
    for step in steps:
        sent = ((sent_s >= step.begins_s) & (sent_s < step.ends_s)).sum()
        # Of a step that was cut off at once, a few requests of its first moment would make a high rate.
        rates.append(float(sent) / max(1.0, step.ends_s - step.begins_s))
    return float(f"{max(rates):.6g}") if rates else None


def write_document(document: Mapping[str, Any], folder: Path) -> Path:
    """Writes `report.json`, whole or not at all."""
    return write_whole(folder / REPORT_FILE, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_document(place: Path) -> dict[str, Any]:
    """An earlier report.

    Args:
        place: The folder of its run, or its `report.json`.

    Raises:
        NoReport: There is none, or none that this version can read.
    """
    path = place / REPORT_FILE if place.is_dir() else place
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NoReport(
            f"there is no {path}; `python -m loadtest.report {path.parent}` makes it where a run left its records"
        ) from error
    except (OSError, ValueError) as error:
        raise NoReport(f"{path} cannot be read as a report: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        has = document.get("schema", "none") if isinstance(document, dict) else "none"
        raise NoReport(
            f"{path} has schema {has}, this version reads {SCHEMA}; make it again with "
            f"`python -m loadtest.report {path.parent}`"
        )
    return document


def write_whole(path: Path, text: str) -> Path:
    """Writes a file beside its place and renames it there."""
    beside = path.with_name(path.name + ".partial")
    beside.write_text(text, encoding="utf-8")
    return beside.replace(path)
