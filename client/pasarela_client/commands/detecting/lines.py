"""One result as text: for people, or as JSON. Pure."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pasarela_client.commands.bars import format_timings
from pasarela_client.commands.tables import format_detections
from pasarela_client.detections import Detections


def format_result(found: Detections, saved: Path | None, *, timings: bool) -> str:
    """What people read: a table for a still image, a line for a frame of a video."""
    if found.timestamp_s is None:
        text = format_detections(found.origin or f"image {found.frame_index}", found, saved)
    else:
        text = format_frame(found)
    return f"{text}\n{format_timings(found.timings, indent='  ')}" if timings else text


def format_frame(found: Detections) -> str:
    """A frame of a video or camera: where it is from, when it was shown, and what is on it, in one line."""
    names = Counter(found.names.tolist())
    things = ", ".join(f"{count} {name}" for name, count in names.items()) or "nothing"
    return f"{found.origin}  {format_time(found.timestamp_s or 0.0)}  {things}  {found.timings.total_ms:.0f} ms"


def format_time(timestamp_s: float) -> str:
    """Minutes and seconds of a recording; of a live source, the time of day."""
    if timestamp_s >= 1e8:  # no recording lasts three years
        from datetime import datetime

        return datetime.fromtimestamp(timestamp_s).strftime("%H:%M:%S.%f")[:-3]  # noqa: DTZ006 - of the person's day
    minutes, milliseconds = divmod(round(timestamp_s * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{milliseconds / 1000:06.3f}"
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def json_line(found: Detections, saved: Path | None, *, timings: bool) -> str:
    """The line that `exports.read_json_lines` reads, with the place of the saved picture."""
    content = found.to_dict(timings=timings)
    if saved is not None:
        content["saved"] = str(saved)
    return json.dumps(content, ensure_ascii=False)
