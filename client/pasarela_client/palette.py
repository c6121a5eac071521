"""One colour a class, the same in every picture."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import Final

Colour = tuple[int, int, int]
"""Red, green, blue; 0 to 255."""

_FIRST: Final[tuple[Colour, ...]] = (
    (230, 25, 75),
    (0, 130, 200),
    (60, 180, 75),
    (255, 225, 25),
    (145, 30, 180),
    (245, 130, 48),
    (70, 240, 240),
    (240, 50, 230),
    (0, 128, 128),
    (210, 245, 60),
    (128, 0, 0),
    (250, 190, 212),
    (0, 0, 160),
    (170, 110, 40),
    (220, 190, 255),
    (128, 128, 0),
    (170, 255, 195),
    (255, 215, 180),
)
"""Told apart easily, also by most people who see fewer colours."""

_GOLDEN_RATIO: Final = 0.618033988749895


@lru_cache(maxsize=1024)
def class_colour(class_id: int) -> Colour:
    """The colour of a class: hand-picked for the first classes, spread over the colour circle after that."""
    if 0 <= class_id < len(_FIRST):
        return _FIRST[class_id]
    saturation, value = ((0.95, 0.85), (0.55, 1.0), (0.85, 0.55))[class_id % 3]
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN_RATIO % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def contrast_ratio(one: Colour, other: Colour) -> float:
    """Contrast of two colours as WCAG defines it, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=1024)
def text_colour(background: Colour) -> Colour:
    """Black or white, whichever is read better on the background."""
    black, white = (0, 0, 0), (255, 255, 255)
    return max(black, white, key=lambda colour: contrast_ratio(colour, background))


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        channel / 255 / 12.92 if channel <= 10 else ((channel / 255 + 0.055) / 1.055) ** 2.4 for channel in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
