"""Results as rows of a table: one for each detection, and one for each frame that failed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pasarela_client.boxes import shortest_floats
from pasarela_client.detections import Detections, FrameError
from pasarela_client.places import name_origin

COLUMNS: Final = (
    "origin",
    "frame_index",
    "timestamp_s",
    "width",
    "height",
    "name",
    "class_id",
    "score",
    "left",
    "top",
    "right",
    "bottom",
    "model",
    "version",
    "error",
)

Row = tuple[Any, ...]
"""A value for each of `COLUMNS`; None where there is none."""


def rows_of(found: Detections) -> Iterator[Row]:
    """One row a detection; none for an image on which nothing was found."""
    place = (name_origin(found) or None, found.frame_index, found.timestamp_s, *found.image_size)
    edges = shortest_floats(found.boxes)
    columns = zip(found.names.tolist(), found.class_ids.tolist(), shortest_floats(found.scores), strict=True)
    for index, (name, class_id, score) in enumerate(columns):
        box = edges[4 * index : 4 * index + 4]
        yield (*place, name, class_id, score, *box, found.model or None, found.version or None, None)


def row_of_error(result: FrameError) -> Row:
    """Where it failed, and why."""
    why = f"{type(result.error).__name__}: {result.error}"
    place = (name_origin(result) or None, result.frame_index, result.timestamp_s)
    nothing = (None,) * (len(COLUMNS) - len(place) - 3)
    return (*place, *nothing, result.error.model or None, None, why)
