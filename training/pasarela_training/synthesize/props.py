"""Things in front of the clothes: bags, phones, cups, plants, a cat."""

import numpy as np

from .figure import SOLE, Skeleton
from .furniture import plant
from .geometry import Placement, Points, box, curve, ellipse, points
from .layers import Flat, Layer, Stroke
from .palette import BAG, DARK, FURNITURE, WHITE, pick, shade


def hand(joints: Points) -> tuple[float, float]:
    """Where an arm's hand is, in body units."""
    x, y = joints[2] + (joints[2] - joints[1]) * 0.14
    return float(x), float(y)


def _flat(placement: Placement, colour: tuple[float, float, float], *shapes: Points) -> Layer:
    return Layer(tuple(placement.apply(shape) for shape in shapes), Flat(colour))


def hand_bag(rng: np.random.Generator, placement: Placement, skeleton: Skeleton) -> list[Layer]:
    """A bag that hangs from a hand."""
    x, y = hand(skeleton.left_arm if rng.random() < 0.5 else skeleton.right_arm)
    colour = pick(rng, BAG)
    size = rng.uniform(0.32, 0.5)
    top = y + 0.35
    handle = placement.apply(curve(points((x - size * 0.55, top), (x, y - 0.02), (x + size * 0.55, top))))
    body = points(
        (x - size * 0.85, top),
        (x + size * 0.85, top),
        (x + size, top + size * 1.5),
        (x - size, top + size * 1.5),
    )
    flap = points(
        (x - size * 0.85, top),
        (x + size * 0.85, top),
        (x + size * 0.6, top + size * 0.55),
        (x - size * 0.6, top + size * 0.55),
    )
    return [
        Layer((handle,), Stroke(shade(colour, 0.7), placement.scale * 0.06)),
        _flat(placement, colour, body),
        _flat(placement, shade(colour, 0.82), flap),
        _flat(placement, (90.0, 200.0, 230.0), ellipse(x, top + size * 0.55, 0.05, 0.05, 10)),
    ]


def phone(rng: np.random.Generator, placement: Placement, skeleton: Skeleton) -> list[Layer]:
    """A phone in a hand."""
    x, y = hand(skeleton.left_arm if rng.random() < 0.5 else skeleton.right_arm)
    colour = pick(rng, BAG)
    return [
        _flat(placement, colour, box(x - 0.14, y - 0.3, x + 0.14, y + 0.24)),
        _flat(
            placement,
            shade(colour, 0.5),
            ellipse(x - 0.06, y - 0.21, 0.04, 0.04, 10),
            ellipse(x + 0.04, y - 0.21, 0.04, 0.04, 10),
        ),
    ]


def cup(rng: np.random.Generator, placement: Placement, skeleton: Skeleton) -> list[Layer]:
    """A paper cup in a hand."""
    x, y = hand(skeleton.left_arm if rng.random() < 0.5 else skeleton.right_arm)
    body = points((x - 0.15, y - 0.3), (x + 0.15, y - 0.3), (x + 0.11, y + 0.16), (x - 0.11, y + 0.16))
    return [
        _flat(placement, WHITE, body),
        _flat(placement, pick(rng, BAG), box(x - 0.14, y - 0.16, x + 0.14, y + 0.04)),
        _flat(placement, (60.0, 70.0, 90.0), box(x - 0.17, y - 0.36, x + 0.17, y - 0.29)),
    ]


def cat(rng: np.random.Generator, placement: Placement) -> list[Layer]:
    """A cat that sits at the figure's feet."""
    side = float(rng.choice([-1.0, 1.0]))
    x, y = side * rng.uniform(0.95, 1.3), SOLE + 0.15
    fur = pick(rng, ((60.0, 130.0, 220.0), (70.0, 70.0, 75.0), (225.0, 230.0, 235.0), (120.0, 125.0, 130.0)))
    tail = placement.apply(
        curve(points((x + side * 0.3, y - 0.1), (x + side * 0.62, y - 0.3), (x + side * 0.5, y - 0.75)))
    )
    ears = tuple(
        points((x + dx - 0.11, y - 0.98), (x + dx * 1.5, y - 1.28), (x + dx + 0.11, y - 0.98)) for dx in (-0.15, 0.15)
    )
    eyes = tuple(ellipse(x + dx, y - 0.9, 0.04, 0.055, 10) for dx in (-0.11, 0.11))
    whiskers = tuple(
        placement.apply(points((x + dx * 0.3, y - 0.8), (x + dx, y - 0.8 + dy)))
        for dx in (-0.4, 0.4)
        for dy in (-0.05, 0.05)
    )
    return [
        Layer((tail,), Stroke(fur, placement.scale * 0.11)),
        _flat(placement, fur, ellipse(x, y - 0.35, 0.34, 0.42)),
        _flat(placement, shade(fur, 0.92), *ears),
        _flat(placement, shade(fur, 1.06), ellipse(x, y - 0.88, 0.29, 0.25)),
        _flat(placement, (110.0, 200.0, 120.0), *eyes),
        _flat(placement, DARK, *(ellipse(x + dx, y - 0.9, 0.016, 0.045, 8) for dx in (-0.11, 0.11))),
        _flat(placement, (150.0, 140.0, 230.0), ellipse(x, y - 0.81, 0.035, 0.025, 8)),
        Layer(whiskers, Stroke(WHITE, 1)),
    ]


def foreground(rng: np.random.Generator, width: int, height: int) -> list[Layer]:
    """Something at the picture's edge that stands before everything."""
    unit = min(width, height)
    x = rng.choice([rng.uniform(-0.02, 0.14), rng.uniform(0.86, 1.02)]) * width
    if rng.random() < 0.6:
        return plant(rng, float(x), height * rng.uniform(1.0, 1.12), unit * rng.uniform(0.35, 0.6))
    colour = pick(rng, FURNITURE)
    w, top = unit * rng.uniform(0.1, 0.22), height * rng.uniform(0.72, 0.9)
    return [
        Layer((box(float(x) - w, top, float(x) + w, height + 4.0),), Flat(colour)),
        Layer((box(float(x) - w * 1.1, top - 5, float(x) + w * 1.1, top + 5),), Flat(shade(colour, 1.2))),
    ]


def hanger(placement: Placement) -> list[Layer]:
    """The hook and bar of a clothes hanger, behind a garment's shoulders."""
    wood, steel = (90.0, 130.0, 175.0), (150.0, 150.0, 150.0)
    hook = curve(points((0.0, -0.1), (0.0, -0.35), (0.14, -0.5), (0.0, -0.66), (-0.14, -0.55)))
    bar = curve(points((-0.7, 0.22), (-0.3, 0.0), (0.0, -0.1), (0.3, 0.0), (0.7, 0.22)))
    return [
        Layer((placement.apply(hook),), Stroke(steel, placement.scale * 0.05)),
        Layer((placement.apply(bar),), Stroke(wood, placement.scale * 0.09)),
    ]
