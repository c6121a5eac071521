"""Points, curves and the step from body units to pixels.

Body units: one is the height of a head; the origin is the base of the neck; y points down.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""Shape (n, 2), columns x and y."""


def points(*xy: tuple[float, float]) -> Points:
    """Make a point array from pairs."""
    return np.array(xy, dtype=np.float64).reshape(-1, 2)


def join(*pieces: Points) -> Points:
    """Concatenate point arrays."""
    return np.concatenate(pieces)


def shifted(shape: Points, x: float, y: float) -> Points:
    """Move all points."""
    return np.asarray(shape + np.array([x, y]), dtype=np.float64)


def mirror(shape: Points) -> Points:
    """Reflect at the body's axis; the order of the points stays."""
    return np.asarray(shape * np.array([-1.0, 1.0]), dtype=np.float64)


def curve(through: Points, steps: int = 6) -> Points:
    """Catmull-Rom curve through all points, ends included."""
    padded = np.concatenate([through[:1] * 2 - through[1:2], through, through[-1:] * 2 - through[-2:-1]])
    before, start, end, after = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = (np.arange(steps) / steps)[None, :, None]
    sampled = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([sampled.reshape(-1, 2), through[-1:]])


def at(line: Points, shares: Sequence[float]) -> Points:
    """Points at the given shares (0 to 1) of a line's length."""
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    wanted = np.asarray(shares) * lengths[-1]
    return np.stack([np.interp(wanted, lengths, line[:, 0]), np.interp(wanted, lengths, line[:, 1])], axis=1)


def part(line: Points, start: float, end: float, count: int = 12) -> Points:
    """The stretch of a line between two shares of its length."""
    return at(line, np.linspace(start, end, count).tolist())


def offset(line: Points, half_widths: npt.NDArray[np.float64]) -> Points:
    """Move each point of a line sideways: to the viewer's left of a line that runs down."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    return line + normal * half_widths[:, None]


def ribbon(line: Points, start: float, end: float) -> Points:
    """A band around a line whose half width goes from `start` to `end`."""
    widths = np.linspace(start, end, len(line))
    return join(offset(line, widths), offset(line, -widths)[::-1])


def ellipse(x: float, y: float, rx: float, ry: float, count: int = 24) -> Points:
    """A closed ellipse."""
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def box(x1: float, y1: float, x2: float, y2: float) -> Points:
    """An axis-parallel rectangle."""
    return points((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def turned(shape: Points, angle: float, centre: tuple[float, float]) -> Points:
    """Rotate by `angle` radians around a point."""
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray((shape - centre) @ np.array([[c, s], [-s, c]]) + centre, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a figure stands in the image: body units to pixels.

    Attributes:
        scale: Pixels per body unit.
        x: Pixel column of the base of the neck.
        y: Pixel row of the base of the neck.
        squash: Extra factor on widths: a slim or broad build, a figure turned to the side.
        angle: Rotation in radians.
    """

    scale: float
    x: float
    y: float
    squash: float = 1.0
    angle: float = 0.0

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The linear part: pixels = points @ matrix.T + (x, y)."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.array([[c, -s], [s, c]]) @ np.diag([self.scale * self.squash, self.scale])

    def apply(self, shape: Points) -> Points:
        """Body units to pixels."""
        return np.asarray(shape @ self.matrix.T + (self.x, self.y), dtype=np.float64)
