"""Closed tops and dresses: with sleeves, with broad straps (vest), with thin straps (sling)."""

import numpy as np

from .categories import DRESSES, LONG_SLEEVED, SHORT_SLEEVED, STRAPPED
from .cut import Cut, Garment
from .figure import WAIST_Y, Skeleton
from .geometry import Points, at, box, curve, join, mirror, points, ribbon, shifted
from .motifs import motif
from .outline import NO_BUTTONS, Outline, Piece
from .sleeves import sleeve
from .trunk import ARMPIT_Y, folds, hem, neckline, side, side_landmarks


def top_outline(garment: Garment, skeleton: Skeleton) -> Outline:
    """Shape a top or a dress."""
    kind = garment.category.id
    if kind in STRAPPED:
        return _sling(garment)
    if kind in SHORT_SLEEVED | LONG_SLEEVED:
        return _sleeved(garment, skeleton)
    return _vest(garment)


def _neck_landmarks(neck: Points) -> Points:
    return join(points((0.0, 0.0)), at(neck, (0.0, 0.25, 0.5, 0.75, 1.0)))


def _hem_landmarks(lower: Points) -> Points:
    """Viewer's left, middle, right."""
    return at(lower, (1.0, 0.5, 0.0))


def _around(neck: Points, left: Points, lower: Points, right: Points) -> Points:
    """Landmarks counter-clockwise: neck, down the left, hem, up the right."""
    return join(neck, left, _hem_landmarks(lower), right[::-1])


def _collar(cut: Cut) -> tuple[Piece, ...]:
    if cut.neck != "collar":
        return ()
    width, tip = cut.neck_width, cut.neck_depth * 0.75
    flap = points((width * 0.75, -0.14), (width + 0.1, 0.08), (width * 0.85, tip + 0.12), (0.02, 0.03 + tip))
    return (Piece((mirror(flap),), brightness=1.1), Piece((flap,), brightness=1.1))


def _trimmings(garment: Garment, corner: Points) -> tuple[tuple[Points, ...], Points, tuple[Points, ...]]:
    """Seams, buttons and motif."""
    cut = garment.cut
    bottom = float(corner[1])
    seams: list[Points] = []
    buttons = NO_BUTTONS
    printed: tuple[Points, ...] = ()
    if cut.detail == "placket":
        top = cut.neck_depth + 0.05
        seams += [points((0.09, top), (0.09, bottom)), points((-0.09, top), (-0.09, bottom))]
        buttons = np.stack([np.zeros(6), np.linspace(top + 0.15, min(bottom, 2.6) - 0.15, 6)], axis=1)
    elif cut.detail == "pocket":
        seams.append(points((0.18, 0.85), (0.18, 1.2), (0.32, 1.28), (0.46, 1.2), (0.46, 0.85), (0.18, 0.85)))
    elif cut.detail == "motif":
        printed = motif(cut.motif)
    elif cut.detail == "belt":
        printed = (box(-0.66, WAIST_Y - 0.08, 0.66, WAIST_Y + 0.08),)
    return tuple(seams), buttons, printed


def _hem_seam(lower: Points) -> Points:
    return shifted(at(lower, np.linspace(0.03, 0.97, 12).tolist()), 0.0, -0.09)


def _sleeved(garment: Garment, skeleton: Skeleton) -> Outline:
    cut, long = garment.cut, garment.category.id in LONG_SLEEVED
    neck = neckline(cut)
    armpit = (0.64 + cut.ease * 0.8, ARMPIT_Y)
    edge = side(garment, armpit)
    lower = hem(edge[-1])
    shoulder = points((0.72, 0.13), (0.8, 0.3))
    trunk = join(neck, shoulder, edge, lower[1:-1], mirror(edge)[::-1], mirror(shoulder)[::-1])
    left, right = sleeve(skeleton.left_arm, cut, long), sleeve(skeleton.right_arm, cut, long)
    marks = side_landmarks(edge, 5 if garment.category.id in DRESSES else 3)
    seams, buttons, printed = _trimmings(garment, edge[-1])
    back = points((-cut.neck_width, 0.03), (0.0, 0.0), (cut.neck_width, 0.03), (0.0, cut.neck_depth + 0.05))
    return Outline(
        inside=(Piece((back,), brightness=0.6),),
        body=(Piece((trunk,), folds=folds(garment, edge[-1])), *_collar(cut)),
        sleeves=(left.piece, right.piece),
        seams=(*seams, _hem_seam(lower), shifted(neck, 0.0, 0.07)),
        buttons=buttons,
        motif=printed,
        landmarks=_around(_neck_landmarks(neck), join(left.edge, mirror(marks)), lower, join(right.edge, marks)),
    )


def _vest(garment: Garment) -> Outline:
    cut = garment.cut
    neck = neckline(cut)
    tip = (cut.neck_width + cut.strap * 1.5, 0.08)
    armpit = (0.63 + cut.ease * 0.5, ARMPIT_Y + 0.05)
    armhole = curve(points(tip, (tip[0] - 0.03, 0.42), armpit))
    edge = side(garment, armpit)
    lower = hem(edge[-1])
    outer = join(armhole, edge[1:])
    trunk = join(neck, outer, lower[1:-1], mirror(outer)[::-1])
    marks = join(points(tip), side_landmarks(edge, 4 if garment.category.id in DRESSES else 2))
    seams, buttons, printed = _trimmings(garment, edge[-1])
    back = points((-cut.neck_width, 0.03), (0.0, 0.06), (cut.neck_width, 0.03), (0.0, cut.neck_depth + 0.05))
    rims = (shifted(neck, 0.0, 0.06), shifted(armhole, -0.06, 0.0), shifted(mirror(armhole), 0.06, 0.0))
    return Outline(
        inside=(Piece((back,), brightness=0.6),),
        body=(Piece((trunk,), folds=folds(garment, edge[-1])),),
        sleeves=(),
        seams=(*seams, _hem_seam(lower), *rims),
        buttons=buttons,
        motif=printed,
        landmarks=_around(_neck_landmarks(neck), mirror(marks), lower, marks),
    )


def _sling(garment: Garment) -> Outline:
    cut = garment.cut
    top_y = 0.52 + cut.neck_depth * 0.35
    dip = 0.14 if cut.neck == "v" else -0.02
    armpit = (0.61 + cut.ease * 0.4, ARMPIT_Y + 0.12)
    strap_x = 0.4
    front = points((-strap_x - 0.04, top_y), (-0.2, top_y + 0.03 + dip * 0.5), (0.0, top_y + 0.06 + dip))
    upper = join(front, mirror(front)[::-1][1:])
    edge = side(garment, armpit)
    lower = hem(edge[-1])
    outer = join(curve(points((strap_x + 0.04, top_y), (0.53, top_y + 0.1), armpit)), edge[1:])
    trunk = join(upper, outer[1:], lower[1:-1], mirror(outer)[::-1][:-1])
    strap = ribbon(curve(points((0.36, 0.06), (0.41, 0.3), (strap_x, top_y + 0.05))), cut.strap, cut.strap)
    count = 4 if garment.category.id in DRESSES else 2
    marks = join(points((0.53, top_y + 0.1)), side_landmarks(edge, count))
    seams, buttons, printed = _trimmings(garment, edge[-1])
    neck = join(points((0.0, top_y), (-0.36, 0.06)), at(upper, (0.0, 0.5, 1.0)), points((0.36, 0.06)))
    return Outline(
        inside=(),
        body=(
            Piece((strap, mirror(strap)), brightness=0.95),
            Piece((trunk,), folds=folds(garment, edge[-1])),
        ),
        sleeves=(),
        seams=(*seams, _hem_seam(lower), shifted(upper, 0.0, 0.06)),
        buttons=buttons,
        motif=tuple(shifted(shape, 0.0, 0.15) for shape in printed) if cut.detail == "motif" else printed,
        landmarks=_around(neck, mirror(marks), lower, marks),
    )
