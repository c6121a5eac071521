"""What a scene is made of: layers, painted in order, that know which item they belong to."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from .cloth import Cloth, paint_cloth
from .geometry import Points
from .palette import Colour

Image = npt.NDArray[np.uint8]

_SHIFT = 4
BACKGROUND = 0


@dataclass(frozen=True, slots=True)
class Flat:
    """One colour."""

    colour: Colour


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line of one colour; covers nothing."""

    colour: Colour
    thickness: float


@dataclass(frozen=True, slots=True)
class Shadow:
    """A soft shadow; covers nothing."""

    strength: float
    blur: float
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Fabric:
    """Textured cloth.

    Attributes:
        cloth: Colours and pattern.
        scale: Pixels per body unit.
        angle: Rotation of the pattern in radians.
        brightness: Below 1 for a part in the shade.
        folds: Lines in pixels, each of two points.
    """

    cloth: Cloth
    scale: float
    angle: float = 0.0
    brightness: float = 1.0
    folds: tuple[Points, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """Shapes painted at once.

    Attributes:
        shapes: Polygons (for a stroke: lines) in pixels; their union is painted.
        paint: How.
        owner: Number of the item it is part of, from 1; 0 for anything else that hides what is below.
    """

    shapes: tuple[Points, ...]
    paint: Flat | Stroke | Shadow | Fabric
    owner: int = field(default=BACKGROUND)


def fixed(shape: Points) -> npt.NDArray[np.int32]:
    """Pixels to the fixed-point numbers that OpenCV draws with."""
    return np.round(shape * (1 << _SHIFT)).astype(np.int32)


def cover(mask: Image, shapes: tuple[Points, ...], value: int, smooth: bool = False) -> None:
    """Write `value` into a mask wherever one of the shapes is."""
    line = cv2.LINE_AA if smooth else cv2.LINE_8
    for shape in shapes:
        cv2.fillPoly(mask, [fixed(shape)], (value,), line, _SHIFT)


def paint(image: Image, layers: list[Layer]) -> None:
    """Paint layers, the first at the bottom."""
    for layer in layers:
        match layer.paint:
            case Flat(colour):
                for shape in layer.shapes:
                    cv2.fillPoly(image, [fixed(shape)], colour, cv2.LINE_AA, _SHIFT)
            case Stroke(colour, thickness):
                lines = [fixed(shape) for shape in layer.shapes]
                cv2.polylines(image, lines, False, colour, max(1, round(thickness)), cv2.LINE_AA, _SHIFT)
            case Shadow():
                _paint_shadow(image, layer.shapes, layer.paint)
            case Fabric():
                _paint_fabric(image, layer.shapes, layer.paint)


def _region(image: Image, shapes: tuple[Points, ...], margin: float) -> tuple[slice, slice] | None:
    """Rows and columns that the shapes can touch, or None when they lie outside the image."""
    everything = np.concatenate(shapes)
    x1, y1 = np.maximum(np.floor(everything.min(axis=0) - margin), 0).astype(int)
    x2, y2 = np.ceil(everything.max(axis=0) + margin).astype(int) + 1
    x2, y2 = min(x2, image.shape[1]), min(y2, image.shape[0])
    return (slice(y1, y2), slice(x1, x2)) if x1 < x2 and y1 < y2 else None


def _region_mask(rows: slice, columns: slice, shapes: tuple[Points, ...]) -> Image:
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    cover(mask, tuple(shape - (columns.start, rows.start) for shape in shapes), 255, smooth=True)
    return mask


def _paint_shadow(image: Image, shapes: tuple[Points, ...], shadow: Shadow) -> None:
    moved = tuple(shape + shadow.shift for shape in shapes)
    region = _region(image, moved, shadow.blur * 2)
    if region is None:
        return
    mask = cv2.blur(_region_mask(*region, moved), (int(shadow.blur) * 2 + 1,) * 2)
    mask = cv2.blur(mask, (int(shadow.blur) + 1,) * 2)
    factor = 1 - mask.astype(np.float32)[..., None] * np.float32(shadow.strength / 255)
    image[region] = (image[region] * factor).astype(np.uint8)


def _paint_fabric(image: Image, shapes: tuple[Points, ...], fabric: Fabric) -> None:
    region = _region(image, shapes, 1)
    if region is None:
        return
    rows, columns = region
    mask = _region_mask(rows, columns, shapes)
    corner = (columns.start, rows.start)
    colours = paint_cloth(
        mask,
        fabric.cloth,
        scale=fabric.scale,
        angle=fabric.angle,
        brightness=fabric.brightness,
        folds=tuple(fold - corner for fold in fabric.folds),
        anchor=shapes[0][0] - corner,
    )
    alpha = mask.astype(np.float32)[..., None] * np.float32(1 / 255)
    below = image[region]
    image[region] = (below + (colours - below) * alpha).astype(np.uint8)
