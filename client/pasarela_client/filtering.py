"""Which of the detections on an image are wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pasarela_client.boxes import to_areas
from pasarela_client.errors import InvalidRequest

if TYPE_CHECKING:
    from pasarela_client.detections import Detections

Classes = str | int | Iterable[str | int]
"""One class or several, by name or id, mixed as wanted."""
Mask = npt.NDArray[np.bool_]


def wanted(
    found: Detections,
    *,
    confidence: float | None,
    classes: Classes | None,
    exclude: Classes | None,
    min_area: float | None,
    max_area: float | None,
    region: tuple[float, float, float, float] | None,
    max_detections: int | None,
) -> Mask:
    """True for each detection that meets all conditions; `Detections.filter` says what they mean.

    Raises:
        InvalidRequest: A condition that nothing can meet, or of the wrong type.
    """
    keep = np.ones(len(found), np.bool_)
    if confidence is not None:
        if not 0 <= confidence <= 1:
            raise InvalidRequest(f"confidence is from 0 to 1, not {confidence}")
        keep &= found.scores >= np.float32(confidence)  # a score of 0.3, in 32 bits, meets a confidence of 0.3
    if classes is not None:
        keep &= _is_of(found, classes)
    if exclude is not None:
        keep &= ~_is_of(found, exclude)
    if min_area is not None or max_area is not None:
        keep &= _has_area(found, min_area, max_area)
    if region is not None:
        keep &= _lies_in(found, region)
    if max_detections is not None:
        if max_detections < 1:
            raise InvalidRequest(f"max_detections is at least 1, not {max_detections}")
        keep &= np.cumsum(keep) <= max_detections
    return keep


def _is_of(found: Detections, classes: Classes) -> Mask:
    listed: list[Any] = [classes] if isinstance(classes, str | int | np.integer) else list(classes)
    names = [entry for entry in listed if isinstance(entry, str)]
    ids = [int(entry) for entry in listed if isinstance(entry, int | np.integer)]
    if len(names) + len(ids) != len(listed):
        strange = next(entry for entry in listed if not isinstance(entry, str | int | np.integer))
        raise InvalidRequest(f"a class is a name or an id from 0, not {strange!r}")
    return np.isin(found.class_ids, ids) | np.isin(found.names, np.array(names, np.str_))


def _has_area(found: Detections, least: float | None, most: float | None) -> Mask:
    least, most = least or 0, np.inf if most is None else most
    if not 0 <= least <= most:
        raise InvalidRequest(f"areas are from min_area to max_area, in square pixels, not from {least} to {most}")
    areas = to_areas(found.boxes)
    return (areas >= least) & (areas <= most)


def _lies_in(found: Detections, region: tuple[float, float, float, float]) -> Mask:
    left, top, right, bottom = region
    if not (left <= right and top <= bottom):
        raise InvalidRequest(f"a region is left, top, right, bottom in pixels, not {region}")
    x, y = found.centers.T
    inside: Mask = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    return inside
