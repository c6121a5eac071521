"""The shape of a garment on a skeleton, in body units: what every kind of garment is turned into."""

from dataclasses import dataclass

import numpy as np

from .geometry import Points


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of cloth.

    Attributes:
        shapes: Polygons whose union is the piece.
        angle: Rotation of the pattern in radians.
        brightness: Below 1 for a part in the shade.
        folds: Lines of two points where the cloth creases.
        contrast: Made of the cloth's second colour.
        rimmed: Has a dark edge of its own.
    """

    shapes: tuple[Points, ...]
    angle: float = 0.0
    brightness: float = 1.0
    folds: tuple[Points, ...] = ()
    contrast: bool = False
    rimmed: bool = True


@dataclass(frozen=True, slots=True)
class Outline:
    """A garment's shape.

    Attributes:
        inside: The back seen from within; only where no body fills the garment.
        body: Pieces under the arms, in order.
        sleeves: Pieces over the arms, in order.
        seams: Lines drawn on the body.
        buttons: Centres of buttons, shape (n, 2).
        motif: Polygons printed on the body in the second colour.
        landmarks: Shape (n, 2), in the order of the annotation.
    """

    inside: tuple[Piece, ...]
    body: tuple[Piece, ...]
    sleeves: tuple[Piece, ...]
    seams: tuple[Points, ...]
    buttons: Points
    motif: tuple[Points, ...]
    landmarks: Points


NO_BUTTONS: Points = np.zeros((0, 2))
