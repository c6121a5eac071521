"""What a run came to, for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pasarela_client.commands.detecting.tally import Tally

_CLASSES: Final = 8


def format_summary(tally: Tally, *, elapsed_s: float, places: Sequence[str], interrupted: bool = False) -> str:
    """Some lines: how many images, how quickly; what was on them; where the results are.

    Args:
        tally: What became of them.
        elapsed_s: From the first question to the last result.
        places: What was written, where.
        interrupted: Whether somebody ended it before its end.
    """
    lines = [_counts(tally, elapsed_s, interrupted=interrupted)]
    if found := _found(tally):
        lines.append(found)
    if places:
        lines.append(f"written: {', '.join(places)}")
    return "\n".join(lines)


def _counts(tally: Tally, elapsed_s: float, *, interrupted: bool) -> str:
    unit = "frame" if tally.moving else "image"
    parts = [f"{tally.done} {unit}{'' if tally.done == 1 else 's'} done"]
    if tally.trouble:
        parts.append(tally.trouble)
    if tally.faults:
        parts.append(f"{tally.faults} source{'' if tally.faults == 1 else 's'} unreadable or not whole")
    line = ("interrupted: " if interrupted else "") + ", ".join(parts)
    if not tally.done:
        return line
    line += f" in {elapsed_s:.1f} s"
    if elapsed_s > 0:
        line += f", {tally.done / elapsed_s:.1f} a second"
    median_ms, slow_ms = tally.latencies.percentile_ms(50), tally.latencies.percentile_ms(99)
    if median_ms is not None and slow_ms is not None:
        line += f"; latency p50 {median_ms:.0f} ms, p99 {slow_ms:.0f} ms"
    return line


def _found(tally: Tally) -> str:
    if not tally.done:
        return ""
    if not tally.classes:
        return "found nothing"
    ranked = sorted(tally.classes.items(), key=lambda entry: (-entry[1], entry[0]))
    shown = [f"{count} {name}" for name, count in ranked[:_CLASSES]]
    rest = sum(count for _, count in ranked[_CLASSES:])
    return "found " + ", ".join(shown + ([f"{rest} of {len(ranked) - _CLASSES} other classes"] if rest else []))
