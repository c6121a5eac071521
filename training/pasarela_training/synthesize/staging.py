"""Layers of one dressed figure, and of garments without a figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import props
from .backdrop import ground_shadow
from .categories import BOTTOMS, OUTWEAR
from .cut import Garment
from .dressing import body_layers, inside_layers, outline, sleeve_layers
from .figure import SOLE, Skeleton, arm, flat_pose, leg, pose, shoe, sole, torso
from .geometry import Placement, Points, join, shifted
from .head import draw_person, hair_behind, head
from .layers import Flat, Layer, Shadow
from .palette import BAG, WHITE, Colour, pick, shade
from .settings import Profile

_BACKS = ("none", "belt", "pleats")
"""Details that look the same from behind."""


@dataclass(frozen=True, slots=True)
class Item:
    """A garment in a scene.

    Attributes:
        garment: What it is.
        owner: Its number in the layers, from 1.
        landmarks: In pixels, wherever they lie.
        viewpoint: 1 not worn, 2 frontal, 3 side or back.
        style: As in the annotation.
    """

    garment: Garment
    owner: int
    landmarks: Points
    viewpoint: int
    style: int


@dataclass(frozen=True, slots=True)
class Staged:
    """Layers and the items that own some of them."""

    layers: list[Layer]
    items: list[Item]


def _view(rng: np.random.Generator, profile: Profile, worn: Sequence[Garment]) -> str:
    """Garments that only a front can show are never seen from behind."""
    draw = rng.random()
    plain = all(g.category.id not in OUTWEAR and g.cut.detail in _BACKS for g in worn)
    if draw < profile.back_view:
        return "back" if plain else "front"
    return "side" if draw < profile.back_view + profile.side_view else "front"


def _skin(placement: Placement, colour: Colour, shapes: tuple[Points, ...]) -> Layer:
    return Layer(tuple(placement.apply(shape) for shape in shapes), Flat(colour))


def figure(
    rng: np.random.Generator,
    profile: Profile,
    worn: Sequence[Garment],
    placement: Placement,
    first_owner: int,
    hero_style: tuple[Garment, int],
) -> Staged:
    """A dressed person; `hero_style` names the main garment and its style."""
    view = _view(rng, profile, worn)
    if view == "side":
        placement = Placement(placement.scale, placement.x, placement.y, placement.squash * 0.8, placement.angle)
    person, skeleton = draw_person(rng), pose(rng, profile)
    shapes = [outline(garment, skeleton) for garment in worn]
    owners = range(first_owner, first_owner + len(worn))
    dressed = list(zip(shapes, worn, owners, strict=True))
    legs, arms = (skeleton.left_leg, skeleton.right_leg), (skeleton.left_arm, skeleton.right_arm)
    shoe_colour, shaft = pick(rng, BAG), float(rng.choice([0.05, 0.1, 0.3]))
    x, y = placement.apply(np.array([[0.0, SOLE + 0.12]]))[0]
    layers = [ground_shadow(float(x), float(y), placement.scale * 1.2)]
    layers += hair_behind(person, placement) if view != "back" else []
    for joints in legs:
        layers.append(_skin(placement, shade(person.skin, 0.94), leg(joints)))
        layers.append(_skin(placement, shoe_colour, shoe(joints, shaft)))
        layers.append(_skin(placement, WHITE, (sole(joints),)))
    trunk, neck = torso()
    layers += [_skin(placement, person.skin, (trunk,)), _skin(placement, shade(person.skin, 0.88), (neck,))]
    for shape, garment, owner in dressed:
        layers += body_layers(shape, garment, placement, owner)
    layers += head(person, placement, view)
    for joints in arms:
        layers.append(_skin(placement, shade(person.skin, 0.97), arm(joints)))
    for shape, garment, owner in dressed:
        layers += sleeve_layers(shape, garment, placement, owner)
    layers += _held(rng, profile, placement, skeleton)
    viewpoint = 2 if view == "front" else 3
    items = [
        Item(
            garment,
            owner,
            placement.apply(shape.landmarks),
            viewpoint,
            hero_style[1] if garment is hero_style[0] else 0,
        )
        for shape, garment, owner in dressed
    ]
    return Staged(layers, items)


def _held(rng: np.random.Generator, profile: Profile, placement: Placement, skeleton: Skeleton) -> list[Layer]:
    layers: list[Layer] = []
    if rng.random() < profile.prop:
        draw = int(rng.integers(3))
        layers += (props.hand_bag, props.phone, props.cup)[draw](rng, placement, skeleton)
    if rng.random() < 0.12:
        layers += props.cat(rng, placement)
    return layers


def flat_lay(
    rng: np.random.Generator,
    profile: Profile,
    garments: Sequence[Garment],
    size: tuple[int, int],
    style: int,
) -> Staged:
    """Garments on a surface, the first of them the main one; a bottom goes below a top."""
    width, height = size
    skeleton = flat_pose(rng)
    shapes = [outline(garment, skeleton) for garment in garments]
    drops = [0.8 if garment.category.id in BOTTOMS and len(garments) > 1 else 0.0 for garment in garments]
    most = 25 if profile.any_layering else 8
    tilt = math.radians(rng.uniform(-most, most))
    everything = Placement(1.0, 0.0, 0.0, 1.0, tilt).apply(
        join(*(shifted(shape.landmarks, 0.0, drop) for shape, drop in zip(shapes, drops, strict=True)))
    )
    low, high = everything.min(axis=0) - 0.12, everything.max(axis=0) + 0.12
    scale = float(min(width / (high[0] - low[0]), height / (high[1] - low[1])) * rng.uniform(0.78, 0.96))
    spare_x, spare_y = width - (high[0] - low[0]) * scale, height - (high[1] - low[1]) * scale
    x = spare_x * rng.uniform(0.3, 0.7) - low[0] * scale
    y = spare_y * rng.uniform(0.3, 0.7) - low[1] * scale
    layers: list[Layer] = []
    items: list[Item] = []
    hung = rng.random() < 0.45 and garments[0].category.id not in BOTTOMS
    for owner, (garment, shape, drop) in enumerate(zip(garments, shapes, drops, strict=True), 1):
        down_x, down_y = -math.sin(tilt) * drop * scale, math.cos(tilt) * drop * scale
        placement = Placement(scale, float(x) + down_x, float(y) + down_y, 1.0, tilt)
        pieces = tuple(placement.apply(p) for piece in (*shape.body, *shape.sleeves) for p in piece.shapes)
        layers.append(Layer(pieces, Shadow(0.3, scale * 0.09, (scale * 0.05, scale * 0.08))))
        if hung and owner == 1:
            layers += props.hanger(placement)
        layers += inside_layers(shape, garment, placement, owner)
        layers += body_layers(shape, garment, placement, owner)
        layers += sleeve_layers(shape, garment, placement, owner)
        items.append(Item(garment, owner, placement.apply(shape.landmarks), 1, style if owner == 1 else 0))
    return Staged(layers, items)
