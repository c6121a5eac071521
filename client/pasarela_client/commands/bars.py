"""Times as bars of text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pasarela_client.commands.tables import format_table
from pasarela_client.timings import BETWEEN, Timings

_WIDTH: Final = 40
_NAMES: Final = {
    "decode_queue": "wait to decode",
    "queue": "wait for an instance",
    "batch": "gather batch",
    "split": "split batch",
    "nms_queue": "wait to suppress",
    "nms": "suppress boxes",
    BETWEEN: "between stages",
}
"""Names that say more than the stage's own."""
_REASONS: Final = {
    "full": "full",
    "preferred": "a preferred size was reached",
    "delay": "the queue delay was over",
    "deadline": "a request would have been late",
    "idle": "an instance was free",
    "alone": "the model merges nothing",
}


def format_stages(stages_ns: Mapping[str, float], *, indent: str = "") -> str:
    """A line for each stage: its name, milliseconds, share, and a bar as long as the share.

    Args:
        stages_ns: Nanoseconds by stage.
        indent: Begins each line.
    """
    total_ns = sum(stages_ns.values()) or 1.0
    rows = [
        [
            _NAMES.get(stage, stage),
            f"{time_ns / 1e6:.2f} ms",
            f"{time_ns / total_ns:.0%}",
            "#" * round(_WIDTH * time_ns / total_ns),
        ]
        for stage, time_ns in stages_ns.items()
    ]
    return format_table(rows, right=(1, 2), indent=indent) if rows else ""


def format_timings(timings: Timings, *, indent: str = "") -> str:
    """Where the time of one request went: its stages on the server, then what the client saw beyond them."""
    batch = f"; batch of {timings.batch_size}" if timings.batch_size else ""
    if timings.close_reason:
        batch += f", closed because {_REASONS.get(timings.close_reason, timings.close_reason)}"
    if timings.instance >= 0:
        batch += f", on instance {timings.instance}"
    lines = [f"{indent}on the server {timings.total_ms:.2f} ms{batch}"]
    if stages := format_stages(timings.stages, indent=f"{indent}  "):
        lines.append(stages)
    if timings.round_trip_ns:
        lines.append(
            f"{indent}network and client {timings.network_ns / 1e6:.2f} ms; in all {timings.round_trip_ns / 1e6:.2f} ms"
        )
    return "\n".join(lines)
