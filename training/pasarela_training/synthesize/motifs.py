"""Printed motifs on the chest, in body units."""

import math

import numpy as np

from .geometry import Points, box, ellipse


def motif(number: int) -> tuple[Points, ...]:
    """One of five motifs: star, heart, circle, band, lettering."""
    x, y, size = 0.0, 1.12, 0.3
    if number == 0:
        angles = np.linspace(0, 2 * math.pi, 10, endpoint=False) - math.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, size, size * 0.42)
        return (np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1),)
    if number == 1:
        t = np.linspace(0, 2 * math.pi, 32, endpoint=False)
        across = 16 * np.sin(t) ** 3
        down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        return (np.stack([x + across * size / 16, y + down * size / 16], axis=1),)
    if number == 2:
        return (ellipse(x, y, size, size),)
    if number == 3:
        return (box(-0.56, y - 0.14, 0.56, y + 0.06), box(-0.56, y + 0.12, 0.56, y + 0.18))
    widths = (0.2, 0.12, 0.26)
    starts = (-0.34, -0.08, 0.1)
    letters = tuple(box(a, y - 0.12, a + w, y + 0.04) for a, w in zip(starts, widths, strict=True))
    return (*letters, box(-0.34, y + 0.1, 0.3, y + 0.14))
