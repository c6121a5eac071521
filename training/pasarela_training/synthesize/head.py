"""Heads: face, hair, hats and glasses."""

from dataclasses import dataclass

import numpy as np

from .geometry import Placement, Points, box, curve, ellipse, join, mirror, points
from .layers import Flat, Layer, Stroke
from .palette import CLOTH, DARK, HAIR, SKIN, WHITE, Colour, blend, pick, shade

_CENTRE_Y = -0.76


@dataclass(frozen=True, slots=True)
class Person:
    """Looks of a figure, apart from what it wears."""

    skin: Colour
    hair: Colour
    hair_style: str
    accent: Colour
    glasses: bool
    hat: str
    beard: bool


def draw_person(rng: np.random.Generator) -> Person:
    """Draw a person."""
    style = str(rng.choice(["short", "bob", "long", "bun", "curly", "bald"], p=[0.25, 0.18, 0.24, 0.14, 0.15, 0.04]))
    hat = str(rng.choice(["none", "beanie", "cap"], p=[0.84, 0.09, 0.07]))
    return Person(
        skin=pick(rng, SKIN, 4),
        hair=pick(rng, HAIR, 4),
        hair_style=style,
        accent=pick(rng, CLOTH),
        glasses=bool(rng.random() < 0.2),
        hat=hat,
        beard=style in ("short", "bald") and bool(rng.random() < 0.3),
    )


def _flat(placement: Placement, colour: Colour, *shapes: Points) -> Layer:
    return Layer(tuple(placement.apply(shape) for shape in shapes), Flat(colour))


def _line(placement: Placement, colour: Colour, thickness: float, *shapes: Points) -> Layer:
    return Layer(tuple(placement.apply(shape) for shape in shapes), Stroke(colour, thickness * placement.scale))


def hair_behind(person: Person, placement: Placement) -> list[Layer]:
    """Hair that falls behind the shoulders."""
    y = _CENTRE_Y
    if person.hair_style == "long":
        side = curve(points((0.0, y - 0.6), (0.46, y - 0.3), (0.52, y + 0.4), (0.42, 0.32)))
        return [_flat(placement, shade(person.hair, 0.85), join(side, mirror(side)[::-1]))]
    if person.hair_style == "bob":
        side = curve(points((0.0, y - 0.6), (0.47, y - 0.25), (0.5, y + 0.3), (0.42, y + 0.56)))
        return [_flat(placement, shade(person.hair, 0.85), join(side, mirror(side)[::-1]))]
    if person.hair_style == "curly":
        angles = np.linspace(-0.5, 3.64, 12)
        curls = [ellipse(0.42 * np.cos(a), y - 0.1 - 0.46 * np.sin(a), 0.2, 0.2, 14) for a in angles]
        return [_flat(placement, shade(person.hair, 0.9), *curls)]
    if person.hair_style == "bun":
        return [_flat(placement, person.hair, ellipse(0.0, y - 0.66, 0.2, 0.19))]
    return []


def _fringe(person: Person) -> Points:
    y = _CENTRE_Y
    if person.hair_style in ("long", "bob"):
        cap = curve(points((-0.42, y + 0.25), (-0.45, y - 0.2), (0.0, y - 0.6), (0.45, y - 0.2), (0.42, y + 0.25)))
        brow = curve(points((0.34, y - 0.1), (0.12, y - 0.36), (-0.2, y - 0.24), (-0.34, y - 0.02)))
    else:
        cap = curve(points((-0.39, y + 0.02), (-0.4, y - 0.3), (0.0, y - 0.58), (0.4, y - 0.3), (0.39, y + 0.02)))
        brow = curve(points((0.33, y - 0.2), (0.1, y - 0.3), (-0.15, y - 0.22), (-0.33, y - 0.18)))
    return join(cap, brow)


def _face(person: Person, placement: Placement, shift: float) -> list[Layer]:
    y = _CENTRE_Y
    eyes = (shift - 0.14, shift + 0.14)
    shadow = shade(person.skin, 0.8)
    lip = blend(shade(person.skin, 0.75), (70.0, 60.0, 200.0), 0.3)
    layers = [
        _flat(
            placement,
            blend(person.skin, (120.0, 110.0, 235.0), 0.0004 * sum(person.skin)),
            *(ellipse(e * 1.45, y + 0.14, 0.08, 0.055) for e in eyes),
        ),
        _flat(placement, WHITE, *(ellipse(e, y, 0.075, 0.05) for e in eyes)),
        _flat(placement, DARK, *(ellipse(e + shift * 0.1, y + 0.005, 0.04, 0.046) for e in eyes)),
        _line(
            placement,
            shade(person.hair, 0.8),
            0.035,
            *(points((e - 0.08, y - 0.12), (e, y - 0.145), (e + 0.08, y - 0.12)) for e in eyes),
        ),
        _line(
            placement,
            shadow,
            0.03,
            points((shift * 1.3, y + 0.02), (shift * 1.3 + 0.03, y + 0.12), (shift * 1.3 - 0.02, y + 0.13)),
        ),
        _line(
            placement,
            lip,
            0.04,
            curve(points((shift - 0.12, y + 0.23), (shift, y + 0.285), (shift + 0.12, y + 0.23))),
        ),
    ]
    if person.beard:
        beard = curve(points((-0.36, y + 0.08), (-0.28, y + 0.4), (0.0, y + 0.5), (0.28, y + 0.4), (0.36, y + 0.08)))
        chin = curve(points((0.3, y + 0.12), (0.2, y + 0.19), (0.0, y + 0.17), (-0.2, y + 0.19), (-0.3, y + 0.12)))
        layers.insert(0, _flat(placement, blend(person.hair, person.skin, 0.25), join(beard, chin)))
    if person.glasses:
        rims = tuple(ellipse(e, y, 0.13, 0.12)[[*range(24), 0]] for e in eyes)
        layers.append(_line(placement, DARK, 0.022, *rims, points((eyes[0] + 0.11, y), (eyes[1] - 0.11, y))))
    return layers


def head(person: Person, placement: Placement, view: str) -> list[Layer]:
    """Head over the neck; `view` is "front", "side" or "back"."""
    y = _CENTRE_Y
    shift = 0.12 if view == "side" else 0.0
    skull = ellipse(0, y, 0.37, 0.48)
    layers = [
        _flat(
            placement,
            shade(person.skin, 0.93),
            ellipse(-0.37, y + 0.03, 0.07, 0.11),
            ellipse(0.37, y + 0.03, 0.07, 0.11),
        ),
        _flat(placement, shade(person.skin, 1.03), skull),
    ]
    if view == "back":
        layers.append(_flat(placement, person.hair, ellipse(0, y - 0.05, 0.41, 0.5)))
        if person.hair_style == "long":
            layers.append(_flat(placement, person.hair, box(-0.38, y, 0.38, 0.3)))
    else:
        layers += _face(person, placement, shift)
        if person.hair_style != "bald":
            layers.append(_flat(placement, person.hair, _fringe(person)))
    if person.hat == "beanie":
        dome = curve(points((-0.42, y - 0.2), (-0.38, y - 0.5), (0.0, y - 0.7), (0.38, y - 0.5), (0.42, y - 0.2)))
        layers.append(_flat(placement, person.accent, dome, ellipse(0, y - 0.74, 0.1, 0.1)))
        layers.append(_flat(placement, shade(person.accent, 0.8), box(-0.43, y - 0.3, 0.43, y - 0.16)))
    elif person.hat == "cap":
        dome = curve(points((-0.41, y - 0.22), (-0.36, y - 0.5), (0.0, y - 0.64), (0.36, y - 0.5), (0.41, y - 0.22)))
        layers.append(_flat(placement, person.accent, dome))
        if view != "back":
            layers.append(_flat(placement, shade(person.accent, 0.75), ellipse(shift * 2, y - 0.22, 0.44, 0.08)))
    return layers
