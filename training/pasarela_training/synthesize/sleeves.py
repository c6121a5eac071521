"""Sleeves that follow an arm."""

import math
from dataclasses import dataclass

import numpy as np

from .cut import Cut
from .geometry import Points, at, curve, ellipse, join, offset, part, points
from .outline import Piece


@dataclass(frozen=True, slots=True)
class Sleeve:
    """One sleeve.

    Attributes:
        piece: Its cloth.
        edge: Landmarks from the shoulder down the outer edge and up the inner one.
        cuff: The line of its lower edge.
    """

    piece: Piece
    edge: Points
    cuff: Points


def sleeve(arm: Points, cut: Cut, long: bool) -> Sleeve:
    """Put a sleeve on an arm (shoulder, elbow, wrist)."""
    side = -1.0 if arm[0, 0] < 0 else 1.0
    line = part(curve(arm, 8), 0, cut.sleeve, 16)
    widths = np.linspace(cut.sleeve_top, cut.cuff, len(line))
    outer = offset(line, -side * widths)
    inner = offset(line, side * widths)
    x, y = (float(value) for value in arm[0])
    cap = ellipse(x, y, cut.sleeve_top, cut.sleeve_top)
    shoulder = points((x + side * 0.45 * cut.sleeve_top, y - 0.88 * cut.sleeve_top))
    shares = (0.25, 0.5, 0.75, 1.0) if long else (0.5, 1.0)
    edge = join(shoulder, at(outer, shares), at(inner, shares)[::-1])
    direction = arm[1] - arm[0]
    folds = [points(tuple(inner[2]), tuple(line[4]))]
    if long:
        folds += [points(tuple(inner[7]), tuple(line[9])), points(tuple(inner[9]), tuple(line[8]))]
        folds.append(points(tuple(inner[13]), tuple(line[14])))
    angle = math.atan2(float(direction[1]), float(direction[0])) - math.pi / 2
    body = join(outer, inner[::-1])
    return Sleeve(Piece((body, cap), angle=angle, folds=tuple(folds)), edge, points(tuple(outer[-2]), tuple(inner[-2])))
