"""Outwear: worn open, so that its front edges and what is below can be seen."""

import numpy as np

from .categories import LONG_SLEEVED
from .cut import Garment
from .figure import Skeleton
from .geometry import Points, at, box, curve, ellipse, join, mirror, points, shifted
from .outline import NO_BUTTONS, Outline, Piece
from .sleeves import sleeve
from .trunk import ARMPIT_Y, folds, hem, side, side_landmarks


def _front(garment: Garment, bottom: float) -> Points:
    """The viewer's right front edge from the neck down."""
    cut = garment.cut
    return curve(points((0.25, -0.05), (cut.gap * 0.75, 0.7), (cut.gap, 1.5), (cut.gap * 1.15, bottom)))


def _closures(garment: Garment, front: Points, bottom: float) -> tuple[tuple[Piece, ...], tuple[Points, ...], Points]:
    """Lapels or hood, seams and buttons."""
    cut = garment.cut
    buttons = NO_BUTTONS
    pieces: tuple[Piece, ...] = ()
    seams: tuple[Points, ...] = (shifted(front, 0.07, 0.0), shifted(mirror(front), -0.07, 0.0))
    pocket = box(cut.gap + 0.12, min(bottom, 2.5) - 0.45, cut.gap + 0.4, min(bottom, 2.5) - 0.4)
    if cut.detail == "lapels":
        lapel = points((0.2, -0.12), (0.4, 0.1), (0.58, 0.55), (0.46, 0.62), (0.5, 0.75), (cut.gap * 0.9, 1.2))
        lapel = join(lapel, at(front, (0.35, 0.2, 0.05)))
        pieces = (Piece((mirror(lapel),), brightness=1.16), Piece((lapel,), brightness=1.16))
        heights = np.linspace(1.4, min(bottom, 2.6) - 0.2, 3)
        buttons = np.stack([np.interp(heights, front[:, 1], front[:, 0]) + 0.12, heights], axis=1)
    elif cut.detail == "hood":
        flap = curve(points((0.2, -0.2), (0.52, -0.02), (0.46, 0.32), (0.26, 0.36), (0.2, 0.05)), 4)
        pieces = (Piece((mirror(flap),), brightness=0.82), Piece((flap,), brightness=0.82))
        cord = points((0.3, 0.3), (0.32, 0.8))
        seams = (*seams, cord, mirror(cord))
    else:
        collar = points((0.16, -0.2), (0.3, -0.16), (0.36, 0.14), (0.24, 0.2))
        pieces = (Piece((mirror(collar),), brightness=1.1), Piece((collar,), brightness=1.1))
    return pieces, (*seams, join(pocket, pocket[:1]), mirror(join(pocket, pocket[:1]))), buttons


def outwear_outline(garment: Garment, skeleton: Skeleton) -> Outline:
    """Shape a jacket, cardigan or coat."""
    cut, long = garment.cut, garment.category.id in LONG_SLEEVED
    edge = side(garment, (0.66 + cut.ease * 0.8, ARMPIT_Y))
    bottom = float(edge[-1, 1])
    front = _front(garment, bottom + 0.07)
    shoulder = points((0.25, -0.05), (0.75, 0.1), (0.86, 0.3))
    panel = join(shoulder, edge, front[::-1])
    left, right = sleeve(skeleton.left_arm, cut, long), sleeve(skeleton.right_arm, cut, long)
    pieces, seams, buttons = _closures(garment, front, bottom)
    creases = folds(garment, edge[-1])
    marks = side_landmarks(edge, 3)
    lower = hem(edge[-1])
    opening = at(front, (0.0, 0.25, 0.5, 0.75, 1.0))
    middle = (opening[-1:] + edge[-1:]) / 2
    neck = join(points((0.0, -0.03)), mirror(opening[:2]), opening[:2][::-1])
    half = join(marks, edge[-1:], middle, opening[:1:-1])
    lining = join(points((0.0, -0.03)), front, lower[4:-4], mirror(front)[::-1])
    label = box(-0.1, 0.08, 0.1, 0.2)
    hood = (Piece((ellipse(0, -0.1, 0.5, 0.3),), brightness=0.7),) if cut.detail == "hood" else ()
    return Outline(
        inside=(*hood, Piece((lining,), brightness=0.55), Piece((label,), brightness=1.3, contrast=True)),
        body=(
            Piece((panel,), folds=tuple(fold for fold in creases if fold[0, 0] > 0)),
            Piece((mirror(panel),), folds=tuple(fold for fold in creases if fold[0, 0] < 0)),
            *pieces,
        ),
        sleeves=(left.piece, right.piece),
        seams=seams,
        buttons=buttons,
        motif=(),
        landmarks=join(neck, join(left.edge, mirror(half)), join(right.edge, half)[::-1]),
    )
