"""What stands in a room: furniture and decoration, in pixels."""

import numpy as np

from .geometry import Points, box, ellipse, points, turned
from .layers import Flat, Layer, Stroke
from .palette import CLOTH, FURNITURE, WHITE, blend, pick, shade

_LEAVES = ((60.0, 120.0, 70.0), (70.0, 140.0, 95.0), (80.0, 105.0, 60.0))


def draw_furniture(rng: np.random.Generator, width: int, height: int, floor: float) -> list[Layer]:
    """Draw one piece, somewhere along a room whose floor begins at row `floor`."""
    unit, x = min(width, height), float(rng.uniform(0, width))
    match int(rng.integers(7)):
        case 0:
            return _painting(rng, x, height * rng.uniform(0.02, 0.3), unit)
        case 1:
            return _wardrobe(rng, x, floor, unit)
        case 2:
            return _window(rng, x, height * rng.uniform(0.0, 0.12), unit)
        case 3:
            return plant(rng, x, floor + unit * 0.04, unit * rng.uniform(0.25, 0.4))
        case 4:
            return _lamp(rng, x, floor, unit)
        case 5:
            return _shelf(rng, x, height * rng.uniform(0.12, 0.5), unit)
        case _:
            return _sofa(rng, x, floor, unit)


def plant(rng: np.random.Generator, x: float, y: float, size: float) -> list[Layer]:
    """A plant in a pot that stands on (x, y)."""
    green, pot = pick(rng, _LEAVES), pick(rng, FURNITURE)
    leaves: list[Points] = []
    for angle in rng.uniform(-1.2, 1.2, 9).tolist():
        length = size * rng.uniform(0.4, 0.7)
        leaf = ellipse(x, y - size * 0.25 - length * 0.5, size * 0.07, length * 0.5, 16)
        leaves.append(turned(leaf, angle, (x, y - size * 0.25)))
    w, h = size * 0.18, size * 0.3
    shape = points((x - w, y - h), (x + w, y - h), (x + w * 0.75, y), (x - w * 0.75, y))
    return [
        Layer(tuple(leaves[:5]), Flat(shade(green, 0.85))),
        Layer(tuple(leaves[5:]), Flat(shade(green, 1.1))),
        Layer((shape,), Flat(pot)),
    ]


def _painting(rng: np.random.Generator, x: float, y: float, unit: float) -> list[Layer]:
    w, h = unit * rng.uniform(0.12, 0.3), unit * rng.uniform(0.12, 0.3)
    edge = unit * 0.012
    return [
        Layer((box(x, y, x + w, y + h),), Flat(pick(rng, FURNITURE))),
        Layer((box(x + edge, y + edge, x + w - edge, y + h - edge),), Flat(WHITE)),
        Layer(
            (ellipse(x + w * 0.5, y + h * 0.5, w * 0.25, h * 0.25),),
            Flat(blend(pick(rng, CLOTH, 20), WHITE, 0.35)),
        ),
    ]


def _wardrobe(rng: np.random.Generator, x: float, floor: float, unit: float) -> list[Layer]:
    w, h = unit * rng.uniform(0.25, 0.45), unit * rng.uniform(0.4, 0.7)
    y, wood = floor - h, pick(rng, FURNITURE)
    split = points((x + w / 2, y), (x + w / 2, floor))
    handle = points((x + w * 0.45, y + h * 0.45), (x + w * 0.45, y + h * 0.55))
    return [Layer((box(x, y, x + w, floor),), Flat(wood)), Layer((split, handle), Stroke(shade(wood, 0.7), 2))]


def _window(rng: np.random.Generator, x: float, y: float, unit: float) -> list[Layer]:
    w, h = unit * rng.uniform(0.25, 0.45), unit * rng.uniform(0.3, 0.5)
    bars = (points((x + w / 2, y), (x + w / 2, y + h)), points((x, y + h / 2), (x + w, y + h / 2)))
    pane = box(x, y, x + w, y + h)
    return [Layer((pane,), Flat((235.0, 215.0, 190.0))), Layer((*bars, pane[[0, 1, 2, 3, 0]]), Stroke(WHITE, 4))]


def _lamp(rng: np.random.Generator, x: float, floor: float, unit: float) -> list[Layer]:
    y, r = floor - unit * rng.uniform(0.45, 0.65), unit * rng.uniform(0.08, 0.13)
    lampshade = points((x - r * 0.6, y - r), (x + r * 0.6, y - r), (x + r, y + r * 0.4), (x - r, y + r * 0.4))
    return [
        Layer((points((x, y), (x, floor)),), Stroke(shade(pick(rng, FURNITURE), 0.6), 3)),
        Layer((lampshade,), Flat((200.0, 232.0, 250.0))),
    ]


def _shelf(rng: np.random.Generator, x: float, y: float, unit: float) -> list[Layer]:
    w, wood = unit * rng.uniform(0.25, 0.45), pick(rng, FURNITURE)
    layers = [Layer((box(x, y, x + w, y + unit * 0.02),), Flat(wood))]
    left = x + unit * 0.02
    for thickness in (rng.uniform(0.02, 0.045, 6) * unit).tolist():
        top = y - unit * rng.uniform(0.07, 0.12)
        layers.append(Layer((box(left, top, left + thickness - 1, y),), Flat(blend(pick(rng, CLOTH), wood, 0.4))))
        left += thickness
    return layers


def _sofa(rng: np.random.Generator, x: float, floor: float, unit: float) -> list[Layer]:
    w, h = unit * rng.uniform(0.35, 0.6), unit * rng.uniform(0.18, 0.26)
    y, fabric = floor + unit * 0.03, pick(rng, FURNITURE)
    arms = (ellipse(x, y - h * 0.35, w * 0.1, h * 0.42), ellipse(x + w, y - h * 0.35, w * 0.1, h * 0.42))
    return [
        Layer((box(x, y - h, x + w, y),), Flat(fabric)),
        Layer(arms, Flat(shade(fabric, 0.85))),
        Layer((box(x, y - h * 0.45, x + w, y),), Flat(shade(fabric, 1.12))),
    ]
