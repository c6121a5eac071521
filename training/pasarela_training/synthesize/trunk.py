"""The trunk of tops, outwear and dresses: necklines, sides and hems."""

import numpy as np

from .categories import DRESSES
from .cut import Cut, Garment
from .figure import WAIST_Y
from .geometry import Points, at, curve, join, mirror, points

ARMPIT_Y = 0.82


def neckline(cut: Cut) -> Points:
    """Front edge of the neck, from the viewer's left to the right."""
    width, depth = cut.neck_width, cut.neck_depth
    if cut.neck == "round":
        half = curve(points((-width, 0.03), (-width * 0.72, 0.03 + depth * 0.72), (0.0, 0.03 + depth)))
    else:
        half = points((-width, 0.03), (-width * 0.5, 0.03 + depth * 0.5), (0.0, 0.03 + depth))
    return join(half, mirror(half)[::-1][1:])


def side(garment: Garment, top: tuple[float, float]) -> Points:
    """The viewer's right edge from the armpit down to the hem."""
    cut = garment.cut
    waist = 0.66 + cut.ease - 0.15 * cut.waist
    if garment.category.id in DRESSES:
        length = cut.hem - WAIST_Y
        hip = 0.72 + cut.ease * 0.6 + cut.flare * 0.35
        hem = 0.72 + cut.ease * 0.6 + cut.flare * (0.35 + 0.28 * length)
        return curve(points(top, (waist, WAIST_Y), (hip, 2.5), (hem, cut.hem)))
    hip = 0.71 + cut.ease + cut.flare * max(1.0, cut.hem - 1.6)
    share = min(1.0, (cut.hem - WAIST_Y) / (2.4 - WAIST_Y))
    return curve(points(top, (waist, WAIST_Y), (waist + (hip - waist) * share, cut.hem)))


def side_landmarks(edge: Points, count: int) -> Points:
    """Landmarks of a side from the armpit down, the hem's corner left out."""
    return at(edge, np.linspace(0.0, 1.0, count, endpoint=False).tolist())


def hem(corner: Points) -> Points:
    """The lower edge from the viewer's right corner to the left one, slightly round."""
    x, y = (float(value) for value in corner)
    return curve(points((x, y), (x * 0.5, y + 0.07), (0.0, y + 0.09), (-x * 0.5, y + 0.07), (-x, y)), 3)


def folds(garment: Garment, corner: Points) -> tuple[Points, ...]:
    """Creases at the waist and, for dresses, down the skirt; derived from the cloth, so they stay with it."""
    rng = np.random.default_rng(garment.cloth.grain)
    lines: list[Points] = []
    for sign in (-1.0, 1.0):
        for _ in range(2):
            y = rng.uniform(1.2, 2.0)
            lines.append(points((sign * 0.6, y), (sign * rng.uniform(0.15, 0.35), y + rng.uniform(-0.12, 0.3))))
        lines.append(points((sign * 0.6, ARMPIT_Y + 0.1), (sign * 0.3, ARMPIT_Y + rng.uniform(0.2, 0.4))))
    if garment.category.id in DRESSES:
        width, bottom = float(corner[0]), float(corner[1])
        count = 7 if garment.cut.detail == "pleats" else 4
        for share in np.linspace(-0.75, 0.75, count) + rng.uniform(-0.08, 0.08, count):
            start = WAIST_Y + 0.1 if garment.cut.detail == "pleats" else rng.uniform(2.2, 2.8)
            lines.append(points((share * 0.6, start), (share * width, bottom)))
    return tuple(lines)
