"""Runs that were never made, with what they would have left: the reports of tests are built from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.records import (
    Finding,
    ObjectiveResult,
    Outcome,
    RequestRecord,
    RunFacts,
    StepFacts,
    request_file,
    write_records,
)
from loadtest.report.exposition import ModelCounts, ProcessCounts
from loadtest.report.samples import Sample
from loadtest.report.sampling import SAMPLES_FILE
from pasarela_client.timings import Timings

STARTED_AT = 1_795_000_000.0
CONDITIONS = {
    "cpu": "Example 9000", "cores": 2, "memory_gb": 24, "system": "Linux x86_64", "python": "3.12.1",
    "packages": {"openvino": "2026.4.1", "grpcio": "1.85.1", "locust": "2.47.0"}, "busy_before": 0.02,
}  # fmt: skip


def timings(server_ms: float, rows: int = 1) -> Timings:
    """Stages that make up this time, most of it inference."""
    ns = int(server_ms * 1e6)
    parts = {"receive": 0.02, "decode_queue": 0.05, "decode": 0.1, "letterbox": 0.03, "queue": 0.2, "batch": 0.01}
    parts |= {"infer": 0.5, "split": 0.005, "nms_queue": 0.01, "nms": 0.05, "encode": 0.005}
    stages: dict[str, Any] = {f"{stage}_ns": int(part * ns) for stage, part in parts.items()}
    return Timings(**stages, total_ns=ns, batch_size=rows, close_reason="alone", instance=0)


def records(
    steps: Sequence[StepFacts],
    *,
    seed: int = 0,
    scale: float = 1.0,
    failing: float = 0.0,
    capacity: float = 1e9,
    frames: bool = False,
    drift: float = 0.05,
) -> list[RequestRecord]:
    """Requests that come at the rates of open steps, or as fast as they are answered in closed ones.

    Args:
        steps: The load.
        seed: Of the chances.
        scale: Of all latencies.
        failing: Part of the requests that is refused.
        capacity: Requests a second beyond which latencies explode.
        frames: Whether every second request is a frame of a stream.
        drift: How much latencies of one second have in common.
    """
    chance = np.random.default_rng(seed)
    found: list[RequestRecord] = []
    for number, step in enumerate(steps):
        seconds = step.ends_s - step.begins_s
        rate = step.rate_from if step.rate_from is not None else 25.0 * min(step.users or 1, 4)
        due = np.sort(chance.uniform(step.begins_s, step.ends_s, chance.poisson(rate * seconds)))
        common = np.exp(chance.normal(0, drift, int(step.ends_s) + 2))
        load = min(0.98, rate / capacity)
        overload = max(0.0, rate / capacity - 1)
        for index, due_s in enumerate(due.tolist()):
            server_ms = 22.0 * scale * common[int(due_s)] * float(np.exp(chance.normal(0, 0.2))) / (1 - load)
            server_ms += overload * (due_s - step.begins_s) * 400
            outcome: Outcome = "done"
            status, message = "OK", ""
            if chance.uniform() < failing:
                outcome, status, message = "refused", "RESOURCE_EXHAUSTED", "the queue is full"
            is_frame = frames and index % 2 == 0
            if is_frame and chance.uniform() < 0.02:
                outcome = "late"
            sent_s = due_s + 0.0004
            found.append(
                RequestRecord(
                    step=number,
                    user="stream" if is_frame else "detect",
                    model="garments",
                    loop=step.loop,
                    due_s=due_s,
                    outcome=outcome,
                    sent_s=sent_s,
                    done_s=sent_s + (0.002 if outcome == "refused" else (server_ms + 1.3) / 1e3),
                    status=status,
                    message=message,
                    timings=Timings() if outcome == "refused" else timings(server_ms, 1 + index % 2),
                    stream=0 if is_frame else None,
                    frame=index if is_frame else None,
                )
            )
    return found


def samples(ends_s: int, *, cores: float = 1.7, megabytes: float = 310.0, gone_at: int | None = None) -> list[Sample]:
    """A look at the server every second."""
    found = []
    for second in range(ends_s + 1):
        if second == gone_at:
            note = "the server's process 7 has ended; it was not looked at after that"
            found.append(Sample(STARTED_AT + second, note=note))
            break
        raw = ModelCounts(
            pending=float(second % 3), rows=60.0 * second, batches=40.0 * second, closed={"alone": 40.0 * second}
        )
        served = ModelCounts(open=4.0, answered=40.0 * second, stages={"infer": (40.0 * second, 0.44 * second)})
        cpu_s = cores * second + 0.05 * np.sin(second)
        process = ProcessCounts(cpu_s, int(megabytes * 1e6) + 1000 * second, 3)
        models = {"garments/1": served, "garments_openvino/1": raw}
        found.append(Sample(STARTED_AT + second, process, models))
    return found


def steady(seconds: int = 30, rate: float = 30.0, warm_up_s: float = 3.0) -> tuple[StepFacts, ...]:
    """A warm-up, then an open loop at one rate."""
    end = warm_up_s + seconds
    return (
        StepFacts("warm-up", 0.0, warm_up_s, "open", rate, rate, counts=False),
        StepFacts(f"{rate:g}/s", warm_up_s, end, "open", rate, rate),
    )


def stairs(rates: Sequence[float] = (10, 20, 30, 40, 50), seconds: float = 6.0) -> tuple[StepFacts, ...]:
    """A warm-up, then rising rates."""
    steps = [StepFacts("warm-up", 0.0, 2.0, "open", rates[0], rates[0], counts=False)]
    for index, rate in enumerate(rates):
        begins_s = 2.0 + index * seconds
        steps.append(StepFacts(f"{rate:g}/s", begins_s, begins_s + seconds, "open", rate, rate))
    return tuple(steps)


def facts(steps: Sequence[StepFacts], **changes: Any) -> RunFacts:
    """Of a run over these steps."""
    told: dict[str, Any] = {
        "scenario": {"title": "What does a steady load cost?", "arrivals": {"rate": 30}},
        "name": "steady",
        "title": "What does a steady load cost?",
        "models": ("garments",),
        "started_at": STARTED_AT,
        "ended_s": steps[-1].ends_s,
        "warm_up_s": next((step.begins_s for step in steps if step.counts), 0.0),
        "steps": tuple(steps),
        "workers": 1,
        "seeds": (1,),
        "url": "127.0.0.1:8001",
        "conditions": CONDITIONS,
        **changes,
    }
    return RunFacts(**told)


def met_and_missed() -> tuple[ObjectiveResult, ...]:
    """One of each."""
    return (
        ObjectiveResult("p99_ms", "<= 50", "47.3", met=True),
        ObjectiveResult("failed", "<= 0.1%", "1.2%", met=False),
    )


def knee() -> tuple[Finding, ...]:
    """As a step scenario finds it."""
    return (
        Finding(
            "knee", 40.0, "/s", 38.0, 42.0, "From 40 requests a second on, more load brings waiting and no answers."
        ),
    )


def leave(folder: Path, run: RunFacts, requests: Sequence[RequestRecord], seen: Sequence[Sample] | None = None) -> Path:
    """Writes what a run leaves, and returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    run.write(folder)
    with request_file(folder, 0).open("w", encoding="utf-8") as file:
        write_records(file, requests)
    if seen is not None:
        (folder / SAMPLES_FILE).write_text("".join(sample.to_line() + "\n" for sample in seen), encoding="utf-8")
    return folder
