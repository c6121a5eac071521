"""Cloth: colours, patterns, and the light that falls on it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .geometry import Points
from .palette import CLOTH, DENIM, Colour, distance, pick, shade

Field = npt.NDArray[np.float32]
"""One float per pixel."""

PATTERNS = ("plain", "stripes", "pinstripes", "checks", "gingham", "dots", "melange", "blotches")
_PATTERN_SHARES = (0.4, 0.14, 0.05, 0.09, 0.07, 0.1, 0.08, 0.07)


@dataclass(frozen=True, slots=True)
class Cloth:
    """What a garment is made of.

    Attributes:
        base: Main colour.
        second: Colour of the pattern.
        pattern: One of `PATTERNS`.
        period: Size of one repeat in body units.
        angle: Rotation of the pattern in radians.
        grain: Seed of the irregular patterns.
    """

    base: Colour
    second: Colour
    pattern: str
    period: float
    angle: float
    grain: int


def draw_cloth(rng: np.random.Generator, away_from: tuple[Colour, ...] = (), denim: bool = False) -> Cloth:
    """Draw a cloth whose main colour stands out from the given ones."""
    palette = DENIM if denim else CLOTH
    tries = [pick(rng, palette) for _ in range(5)]
    base = max(tries, key=lambda colour: min([90.0, *(distance(colour, other) for other in away_from)]))
    partners = [pick(rng, CLOTH) for _ in range(4)]
    second = max(partners, key=lambda colour: min(170.0, distance(colour, base)))
    pattern = "melange" if denim else str(rng.choice(PATTERNS, p=_PATTERN_SHARES))
    if pattern == "melange":
        second = shade(base, 0.72 if sum(base) > 220 else 1.5)
    angle = float(rng.choice([0.0, math.pi / 2, math.pi / 4], p=[0.6, 0.25, 0.15]))
    return Cloth(base, second, pattern, float(rng.uniform(0.2, 0.42)), angle, int(rng.integers(1 << 30)))


def _wave(phase: Field) -> Field:
    return np.asarray(np.sin(phase * np.float32(2 * math.pi)), np.float32)


def _hard(field: Field, softness: float) -> Field:
    return np.asarray(np.clip(field / np.float32(softness) + np.float32(0.5), 0, 1), np.float32)


def _stripes(u: Field, v: Field, soft: float) -> Field:
    return np.broadcast_to(_hard(_wave(v), soft), np.broadcast_shapes(u.shape, v.shape))


def _pinstripes(u: Field, v: Field, soft: float) -> Field:
    return _hard(_wave(u * 2) - np.float32(0.86), soft) * np.float32(0.8) + v * 0


def _checks(u: Field, v: Field, soft: float) -> Field:
    return (_hard(_wave(u) - np.float32(0.55), soft) + _hard(_wave(v) - np.float32(0.55), soft)) * np.float32(0.5)


def _gingham(u: Field, v: Field, soft: float) -> Field:
    return (_hard(_wave(u), soft) + _hard(_wave(v), soft)) * np.float32(0.5)


def _dots(u: Field, v: Field, soft: float) -> Field:
    row = np.floor(v)
    across = (u + row * np.float32(0.5)) % 1 - np.float32(0.5)
    down = v - row - np.float32(0.5)
    return _hard(np.float32(0.3) - np.hypot(across, down), soft * 0.4)


_REGULAR: dict[str, Callable[[Field, Field, float], Field]] = {
    "stripes": _stripes,
    "pinstripes": _pinstripes,
    "checks": _checks,
    "gingham": _gingham,
    "dots": _dots,
}


def _grain(shape: tuple[int, int], seed: int, cell: float) -> Field:
    """Smooth random numbers between about -1 and 1, `cell` pixels wide."""
    small = (max(2, round(shape[0] / cell) + 2), max(2, round(shape[1] / cell) + 2))
    noise = np.random.default_rng(seed).standard_normal(small, dtype=np.float32)
    return np.asarray(cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _pattern(cloth: Cloth, shape: tuple[int, int], scale: float, angle: float, anchor: Points) -> Field | None:
    """How much of the second colour each pixel gets; None for none."""
    if cloth.pattern == "plain":
        return None
    if cloth.pattern == "melange":
        return np.asarray(
            np.clip(_grain(shape, cloth.grain, 1.6) * np.float32(0.22) + np.float32(0.3), 0, 1), np.float32
        )
    if cloth.pattern == "blotches":
        return _hard(_grain(shape, cloth.grain, max(3.0, scale * cloth.period)) - np.float32(0.35), 0.15)
    period = scale * cloth.period
    c, s = math.cos(angle + cloth.angle) / period, math.sin(angle + cloth.angle) / period
    x = np.arange(shape[1], dtype=np.float32)[None, :] - np.float32(anchor[0])
    y = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(anchor[1])
    u, v = x * np.float32(c) + y * np.float32(s), y * np.float32(c) - x * np.float32(s)
    return _REGULAR[cloth.pattern](u, v, min(1.5, 6.0 / period))


def _light(mask: npt.NDArray[np.uint8], scale: float, folds: tuple[Points, ...]) -> Field:
    """Relief of a soft body lit from the upper left, with folds; about 1 on average."""
    height, width = mask.shape
    step = 3
    size = (max(2, width // step), max(2, height // step))
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(1 / 255)
    for fold in folds:
        first, second = (tuple(int(value / step) for value in point) for point in fold)
        cv2.line(small, first, second, (0.45,), max(1, round(scale * 0.035 / step * 2)), cv2.LINE_AA)
    reach = max(1.0, scale * 0.11 / step)
    soft = cv2.GaussianBlur(small, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
    relief = soft * np.float32(0.3) + np.float32(0.76)
    relief[:, 1:-1] += np.clip(soft[:, 2:] - soft[:, :-2], -0.3, 0.3) * np.float32(0.32)
    relief[1:-1] += np.clip(soft[2:] - soft[:-2], -0.3, 0.3) * np.float32(0.22)
    return np.asarray(cv2.resize(relief, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def paint_cloth(
    mask: npt.NDArray[np.uint8],
    cloth: Cloth,
    *,
    scale: float,
    angle: float,
    brightness: float,
    folds: tuple[Points, ...],
    anchor: Points,
) -> npt.NDArray[np.float32]:
    """Colours of a piece of cloth, for every pixel of its mask's rectangle."""
    shape = (mask.shape[0], mask.shape[1])
    light = _light(mask, scale, folds) * np.float32(brightness)
    base = np.array(cloth.base, np.float32)
    amount = _pattern(cloth, shape, scale, angle, anchor)
    if amount is None:
        colours = light[..., None] * base
    else:
        second = np.array(cloth.second, np.float32)
        colours = (base + amount[..., None] * (second - base)) * light[..., None]
    return np.asarray(np.clip(colours, 0, 255), np.float32)
