"""From what is visible in a scene to DeepFashion2's annotation."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .geometry import Points
from .layers import Fabric, Flat, Layer, cover
from .staging import Item


@dataclass(frozen=True, slots=True)
class Visibility:
    """How much of one item can be seen.

    Attributes:
        mask: Its visible pixels, boolean, without specks.
        visible: How many those are.
        in_frame: How many there would be if nothing stood before it.
        landmarks_outside: Share of its landmarks outside the image.
    """

    mask: npt.NDArray[np.bool_]
    visible: int
    in_frame: int
    landmarks_outside: float


def _inside(landmarks: Points, width: int, height: int) -> npt.NDArray[np.bool_]:
    x, y = landmarks[:, 0], landmarks[:, 1]
    return np.asarray((x >= 0) & (y >= 0) & (x < width) & (y < height))


def _without_specks(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Drop scraps too small for anybody to mark: under half a percent of what can be seen."""
    count, numbers, sizes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = sizes[:, cv2.CC_STAT_AREA]
    kept = areas >= 0.005 * areas[1:].sum()
    kept[0] = False
    return np.asarray(kept[numbers])


def look(layers: list[Layer], items: list[Item], width: int, height: int) -> list[Visibility]:
    """See which pixels each item keeps once everything is painted."""
    owners = np.zeros((height, width), np.uint8)
    whole = {item.owner: np.zeros((height, width), np.uint8) for item in items}
    for layer in layers:
        if isinstance(layer.paint, Flat | Fabric):
            cover(owners, layer.shapes, layer.owner)
            if layer.owner:
                cover(whole[layer.owner], layer.shapes, 1)
    seen: list[Visibility] = []
    for item in items:
        mask = _without_specks(owners == item.owner)
        outside = float((~_inside(item.landmarks, width, height)).mean())
        seen.append(Visibility(mask, int(np.count_nonzero(mask)), int(np.count_nonzero(whole[item.owner])), outside))
    return seen


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Corners of the visible pixels; the right and lower ones are exclusive."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _polygons(mask: npt.NDArray[np.bool_]) -> list[list[int]]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    polygons: list[list[int]] = []
    for contour in contours:
        simple = cv2.approxPolyDP(contour, 0.8, True)
        if len(simple) < 3:
            x, y, width, height = cv2.boundingRect(contour)
            right, bottom = x + width - 1, y + height - 1
            simple = np.array([(x, y), (right, y), (right, bottom), (x, bottom)])
        polygons.append([int(value) for value in simple.ravel()])
    return polygons


def _landmarks(item: Item, mask: npt.NDArray[np.bool_]) -> list[int]:
    """x, y, v of each in turn: v is 2 near visible pixels of the item, 1 where it is hidden, 0 outside the image."""
    height, width = mask.shape
    near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8))
    marks: list[int] = []
    for (x, y), inside in zip(item.landmarks, _inside(item.landmarks, width, height), strict=True):
        column, row = int(x), int(y)
        marks += [column, row, 2 if near[row, column] else 1] if inside else [0, 0, 0]
    return marks


def _level(value: float, medium: float, large: float) -> int:
    return 1 if value < medium else 2 if value <= large else 3


def scale_level(box: tuple[int, int, int, int], width: int, height: int) -> int:
    """1 small, 2 modest, 3 large, by the box's share of the image."""
    x1, y1, x2, y2 = box
    return _level((x2 - x1) * (y2 - y1) / (width * height), 0.1, 0.4)


def occlusion_level(visible: int, in_frame: int) -> int:
    """1 slight, 2 medium, 3 heavy, by the hidden share of what lies in the picture."""
    return _level((in_frame - visible) / in_frame, 0.2, 0.5)


def zoom_level(landmarks_outside: float) -> int:
    """1 none, 2 medium, 3 large, by the share of landmarks outside the picture."""
    return 1 if landmarks_outside <= 0 else 2 if landmarks_outside <= 0.3 else 3


def annotate_item(item: Item, seen: Visibility) -> dict[str, Any]:
    """One `itemN` entry."""
    height, width = seen.mask.shape
    box = _box(seen.mask)
    return {
        "segmentation": _polygons(seen.mask),
        "scale": scale_level(box, width, height),
        "viewpoint": item.viewpoint,
        "zoom_in": zoom_level(seen.landmarks_outside),
        "landmarks": _landmarks(item, seen.mask),
        "style": item.style,
        "bounding_box": list(box),
        "category_id": item.garment.category.id,
        "occlusion": occlusion_level(seen.visible, seen.in_frame),
        "category_name": item.garment.category.name,
    }
