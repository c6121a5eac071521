"""How requests fared: latency, throughput, step by step, what went wrong, by user. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loadtest.report import text
from loadtest.report.charts.drawing import drawn
from loadtest.report.layout import Section, Table, cell, row
from loadtest.report.plots.distribution import histogram, percentile_curve
from loadtest.report.plots.requests import faults_over_time, latency_over_time, throughput_over_time
from loadtest.report.plots.steps import latency_by_load, served_by_load

Document = Mapping[str, Any]

_PERCENTILES: Final = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99.9_ms", "max_ms")


def latency_section(document: Document) -> Section | None:
    """Latency over time and as a distribution; None without an answer."""
    over = latency_over_time(document)
    shapes = drawn(percentile_curve(document), histogram(document))
    if over is None:
        return None
    return Section("Latency", charts=[over, *shapes], lead=True)


def throughput_section(document: Document) -> Section | None:
    """Offered and served; None without requests."""
    over = throughput_over_time(document)
    return None if over is None else Section("Throughput", charts=[over], single=True)


def steps_section(document: Document) -> Section | None:
    """A row and a point for each step; None if there is only one."""
    steps = document["steps"]
    if len(steps) < 2:
        return None
    rows = [
        row(
            step["name"],
            cell(text.exact(step["begins_s"], 1), step["begins_s"]),
            cell(*_load(step)),
            cell(text.number(step["per_second"]), step["per_second"]),
            *(cell(text.number(step[name]), step[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
            cell(f"{step['failed']:,}", step["failed"]),
            cell(f"{step['untimely']:,}", step["untimely"]),
        )
        for step in steps
    ]
    head = ("step", "begins, s", "load", "served /s", "p50 ms", "p95 ms", "p99 ms", "longest ms", "failed", "too late")
    return Section(
        "Step by step",
        charts=drawn(served_by_load(document), latency_by_load(document)),
        tables=[Table("Steps", head, rows)],
    )


def _load(step: Mapping[str, Any]) -> tuple[str, float | None]:
    if step["users"] is not None:
        return f"{step['users']} users", float(step["users"])
    begins, ends = step["rate_from"], step["rate_to"]
    if begins is None:
        return text.NOTHING, None
    return (f"{text.number(begins)}/s" if begins == ends else f"{text.number(begins)}–{text.number(ends)}/s"), float(
        begins
    )


def faults_section(document: Document) -> Section | None:
    """What ended badly, by status and message; says so if nothing did."""
    outcomes = document["outcomes"]
    total = sum(outcomes.values())
    if not total:
        return None
    if not document["faults"]:
        ended = f"All {outcomes['done']:,} requests were answered in time."
        if outcomes["left"]:
            ended = (
                f"{outcomes['done']:,} requests were answered in time; {outcomes['left']:,} clients left on purpose."
            )
        return Section("What went wrong", [f"Nothing. {ended}"])
    rows = [
        row(
            fault["outcome"],
            fault["status"] or text.NOTHING,
            cell(f"{fault['count']:,}", fault["count"]),
            cell(text.percent(fault["count"] / total), fault["count"]),
            cell(text.exact(fault["first_s"], 1), fault["first_s"]),
            fault["message"] or text.NOTHING,
        )
        for fault in document["faults"]
    ]
    head = ("ended as", "status", "requests", "share", "first at, s", "message")
    counted = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)
    return Section(
        "What went wrong",
        [f"Of {total:,} requests: {counted}."],
        charts=drawn(faults_over_time(document)),
        single=True,
        tables=[Table("By status and message", head, rows, frozenset({1, 5}))],
    )


def frames_section(document: Document) -> Section | None:
    """What came of the frames of streams; None without streams."""
    frames = document["frames"]
    if frames is None:
        return None
    names = ("done", "late", "lost", "refused", "failed", "unsent", "left")
    rows = [
        row(
            name,
            cell(f"{frames[name]:,}", frames[name]),
            cell(text.percent(frames[name] / frames["offered"]), frames[name]),
        )
        for name in names
        if frames[name] or name in {"done", "late", "lost"}
    ]
    lag = frames["sent_late_p99_ms"]
    sentences = [f"{frames['offered']:,} frames were due in streams."]
    if lag is not None:
        sentences[0] += f" 99 % of them were handed to their stream within {text.ms(lag)} of that."
    return Section(
        "Frames of streams", sentences, tables=[Table("What came of them", ("ended as", "frames", "share"), rows)]
    )


def kinds_section(document: Document) -> Section | None:
    """A row for each kind of user and model."""
    if not document["kinds"]:
        return None
    rows = [
        row(
            f"{one['user']} · {one['model']}",
            cell(f"{one['requests']:,}", one["requests"]),
            cell(f"{one['failed']:,}", one["failed"]),
            cell(f"{one['untimely']:,}", one["untimely"]),
            cell(text.number(one["per_second"]), one["per_second"]),
            *(cell(text.number(one[name]), one[name]) for name in _PERCENTILES),
        )
        for one in document["kinds"]
    ]
    head = (
        "user · model",
        "requests",
        "failed",
        "too late",
        "served /s",
        "p50 ms",
        "p90 ms",
        "p95 ms",
        "p99 ms",
        "p99.9 ms",
        "longest ms",
    )
    return Section("By user and model", tables=[Table("Latencies are exact, of answers", head, rows)])
