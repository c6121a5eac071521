"""Candidates and figures in words. Pure."""

from __future__ import annotations

import math

from pasarela_server.config.model import InstanceKind
from pasarela_server.config.plan import choose_instances
from pasarela_server.tuning.candidate import Candidate
from pasarela_server.tuning.candidates import effect_of
from pasarela_server.tuning.subject import Subject


def describe(candidate: Candidate, subject: Subject) -> str:
    """What a candidate comes to: "2 instances of 1 thread, merged up to 8 rows"."""
    effect = effect_of(candidate, subject)
    instances = effect.instances or 1
    parts = [plural(instances, "instance")]
    if not subject.on_gpu:
        _, threads, _ = choose_instances(InstanceKind.CPU, instances, subject.cores)
        parts[0] += f" of {plural(threads, 'thread')}"
    merge = effect.merge
    if merge is not None and merge.on:
        rows = merge.preferred_rows or effect.max_batch_size or 1
        parts.append(f"merged up to {plural(rows, 'row')}")
        if merge.delay_us:
            parts.append(f"waiting {duration(merge.delay_us / 1e6)}")
    if effect.precision is not None and effect.precision != "default":
        parts.append(effect.precision)
    return ", ".join(parts)


def plural(count: int, noun: str) -> str:
    """A number with its noun: 1 row, 2 rows."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """As it is written: 2ms, 1.5s."""
    return f"{1000 * seconds:g}ms" if seconds < 1 else f"{seconds:g}s"


def clock(seconds: float) -> str:
    """Minutes and seconds: 3:05."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def milliseconds(value: float) -> str:
    """A latency; "refused" where requests were."""
    if not math.isfinite(value):
        return "refused"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rate(value: float) -> str:
    """A throughput, with as many digits as it deserves."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def times(ratio: float) -> str:
    """A ratio: "1.24 times"; in words where the other had nothing."""
    return f"{ratio:.2f}" if math.isfinite(ratio) else "∞"
