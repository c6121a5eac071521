"""Shorts, trousers and skirts."""

import numpy as np

from .cut import Garment
from .figure import BAND_Y, Skeleton
from .geometry import Points, at, box, curve, join, mirror, offset, part, points, shifted
from .outline import NO_BUTTONS, Outline, Piece

_CROTCH = (0.0, 2.8)


def bottom_outline(garment: Garment, skeleton: Skeleton) -> Outline:
    """Shape shorts, trousers or a skirt."""
    return _skirt(garment) if garment.category.id == 9 else _legs(garment, skeleton)


def _waist(garment: Garment) -> tuple[Points, tuple[Points, ...]]:
    """Landmarks of the waistband from the left, and what is printed on it."""
    half = 0.58 + garment.cut.ease * 0.3
    band = points((-half, BAND_Y), (0.0, BAND_Y + 0.04), (half, BAND_Y))
    belt = (box(-half - 0.02, BAND_Y + 0.05, half + 0.02, BAND_Y + 0.19),) if garment.cut.detail == "belt" else ()
    return band, belt


def _leg(joints: Points, garment: Garment) -> tuple[Points, Points]:
    """Outer and inner edge of one leg of shorts or trousers, from the hip down."""
    cut = garment.cut
    side = -1.0 if joints[0, 0] < 0 else 1.0
    line = part(curve(joints, 8), 0, cut.leg, 14)
    end = 0.36 + cut.ease * 0.7 if garment.category.id == 7 else 0.16 + cut.cuff * 0.45 + cut.ease * 0.4
    widths = np.linspace(0.37 + cut.ease * 0.4, end, len(line))
    return offset(line, -side * widths), offset(line, side * widths)


def _legs(garment: Garment, skeleton: Skeleton) -> Outline:
    band, belt = _waist(garment)
    half = float(band[2, 0])
    right_hip = 0.74 + garment.cut.ease * 0.5
    yoke = curve(points((half, BAND_Y), (right_hip - 0.03, 2.15), (right_hip, 2.55)), 4)
    seat = join(yoke, points((0.68, 2.68), _CROTCH, (-0.68, 2.68)), mirror(yoke)[::-1])
    (outer_l, inner_l), (outer_r, inner_r) = (
        _leg(joints, garment) for joints in (skeleton.left_leg, skeleton.right_leg)
    )
    creases = [points((side * 0.08, 2.85), (side * 0.5, 2.6)) for side in (-1.0, 1.0)]
    pieces: list[Piece] = []
    shares = (0.45,) if garment.category.id == 7 else (0.12, 0.52)
    for outer, inner in ((outer_l, inner_l), (outer_r, inner_r)):
        middle = (outer + inner) / 2
        lines = [points(tuple(inner[1]), tuple(middle[2]))]
        if garment.category.id == 8:
            lines += [points(tuple(inner[7]), tuple(middle[8])), points(tuple(outer[8]), tuple(middle[7]))]
        pieces.append(Piece((join(outer, inner[::-1]),), folds=tuple(lines)))
    pieces.append(Piece((seat,), folds=tuple(creases), rimmed=False))
    pocket = points((half - 0.16, BAND_Y + 0.2), (half - 0.06, BAND_Y + 0.42), (right_hip - 0.06, BAND_Y + 0.55))
    fly = points((0.0, BAND_Y + 0.2), (0.0, 2.6), (0.08, 2.45), (0.1, BAND_Y + 0.2))
    rim = points((-half, BAND_Y + 0.19), (half, BAND_Y + 0.19))
    cuffs = tuple(points(tuple(a[-2]), tuple(b[-2])) for a, b in ((outer_l, inner_l), (outer_r, inner_r)))
    inner_shares = () if garment.category.id == 7 else (0.52,)
    left = join(at(outer_l, (*shares, 1.0)), at(inner_l, (1.0, *inner_shares)))
    right = join(at(outer_r, (*shares, 1.0)), at(inner_r, (1.0, *inner_shares)))
    return Outline(
        inside=(),
        body=tuple(pieces),
        sleeves=(),
        seams=(rim, yoke, mirror(yoke), pocket, mirror(pocket), fly, *cuffs),
        buttons=points((0.0, BAND_Y + 0.1)),
        motif=belt,
        landmarks=join(band, left, points(_CROTCH), right[::-1]),
    )


def _skirt(garment: Garment) -> Outline:
    cut = garment.cut
    band, belt = _waist(garment)
    half = float(band[2, 0])
    length = cut.hem - BAND_Y
    hip = 0.73 + cut.ease * 0.5 + cut.flare * 0.4
    bottom = 0.72 + cut.ease * 0.5 + cut.flare * (0.4 + 0.3 * length)
    edge = curve(points((half, BAND_Y), (hip, BAND_Y + min(0.8, length * 0.5)), (bottom, cut.hem)))
    lower = curve(points((bottom, cut.hem), (0.0, cut.hem + 0.12), (-bottom, cut.hem)))
    shape = join(points((0.0, BAND_Y + 0.04)), edge, lower[1:-1], mirror(edge)[::-1])
    rng = np.random.default_rng(cut.motif + garment.cloth.grain)
    count = 9 if cut.detail == "pleats" else 4
    starts = np.linspace(-0.85, 0.85, count) + rng.uniform(-0.06, 0.06, count)
    top = BAND_Y + (0.15 if cut.detail == "pleats" else length * 0.35)
    lines = tuple(points((share * half, top), (share * bottom, cut.hem + 0.05)) for share in starts)
    middle = at(edge, (0.5,))
    return Outline(
        inside=(),
        body=(Piece((shape,), folds=lines),),
        sleeves=(),
        seams=(points((-half - 0.03, BAND_Y + 0.19), (half + 0.03, BAND_Y + 0.19)), shifted(lower, 0.0, -0.1)),
        buttons=NO_BUTTONS,
        motif=belt,
        landmarks=join(band, mirror(middle), at(lower, (1.0, 0.5, 0.0)), middle),
    )
