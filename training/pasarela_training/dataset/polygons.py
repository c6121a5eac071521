"""Polygons of a segmentation: one outline of several, as YOLO wants one per object.

A polygon is an array of shape (points, 2): x and y in pixels, no point repeated at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]


def as_polygon(values: Sequence[float]) -> Polygon:
    """A polygon from COCO's flat list of x and y in turn."""
    return np.asarray(values, dtype=np.float64).reshape(-1, 2)


def box_polygon(left: float, top: float, width: float, height: float) -> Polygon:
    """The corners of a box, clockwise as seen."""
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=np.float64)


def signed_area(polygon: Polygon) -> float:
    """Area in square pixels, above 0 if the points run clockwise as seen (y grows downwards)."""
    x, y = polygon[:, 0], polygon[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def join_polygons(polygons: Sequence[Polygon]) -> Polygon:
    """One outline that covers several polygons: they are connected by bridges without width.

    Starting with the first, the polygon nearest to what is joined is connected to it between their nearest corners,
    until none is left. All of them are made to run the same way round, so that the area of the outline is the sum of
    theirs.
    """
    clockwise = [polygon if signed_area(polygon) >= 0 else polygon[::-1] for polygon in polygons]
    joined, rest = clockwise[0], clockwise[1:]
    while rest:
        bridges = [_bridge(joined, other) for other in rest]
        nearest = min(range(len(rest)), key=lambda index: bridges[index][0])
        _, here, there = bridges[nearest]
        other = rest.pop(nearest)
        joined = np.concatenate([joined[: here + 1], other[there:], other[: there + 1], joined[here:]])
    return joined


def _bridge(one: Polygon, other: Polygon) -> tuple[float, int, int]:
    """Squared length of the shortest line between corners of two polygons, and the numbers of these corners."""
    squared = ((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
    here, there = np.unravel_index(int(squared.argmin()), squared.shape)
    return float(squared[here, there]), int(here), int(there)
