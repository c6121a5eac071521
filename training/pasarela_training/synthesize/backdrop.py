"""What stands behind the clothes: a studio, a room, a street, or a surface seen from above."""

from itertools import pairwise

import cv2
import numpy as np

from .furniture import draw_furniture
from .geometry import box, ellipse, points
from .layers import Flat, Image, Layer, Shadow, Stroke
from .layers import paint as paint_layers
from .palette import CLOTH, FLOOR, FURNITURE, STUDIO, WALL, WHITE, Colour, blend, pick, shade


def _gradient(width: int, height: int, top: Colour, bottom: Colour) -> Image:
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    rows = np.array(top, np.float32) + ramp * (np.array(bottom, np.float32) - np.array(top, np.float32))
    return np.ascontiguousarray(np.broadcast_to(rows.clip(0, 255).astype(np.uint8), (height, width, 3)))


def _glow(image: Image, x: float, y: float, strength: float) -> None:
    """Lighten around a point and darken towards the corners."""
    height, width = image.shape[:2]
    across = ((np.arange(width, dtype=np.float32) - x) / width)[None, :] ** 2
    down = ((np.arange(height, dtype=np.float32) - y) / height)[:, None] ** 2
    factor = 1 + strength * (np.float32(0.25) - (across + down))
    image[:] = np.clip(image * factor[..., None], 0, 255).astype(np.uint8)


def studio(rng: np.random.Generator, width: int, height: int, floor_y: float) -> Image:
    """A plain backdrop with a hint of a floor."""
    colour = pick(rng, STUDIO, 3) if rng.random() < 0.7 else blend(pick(rng, CLOTH), (255.0, 255.0, 255.0), 0.65)
    image = _gradient(width, height, colour, shade(colour, 0.96))
    if floor_y < height and rng.random() < 0.6:
        floor = _gradient(width, height - int(floor_y), shade(colour, 0.9), shade(colour, 0.97))
        image[int(floor_y) :] = floor
        band = image[max(0, int(floor_y) - 8) : int(floor_y) + 8]
        band[:] = cv2.blur(band, (1, 9))
    _glow(image, width * rng.uniform(0.3, 0.7), height * 0.4, 0.35)
    return image


def _plank_floor(rng: np.random.Generator, image: Image, top: int, colour: Colour) -> None:
    height, width = image.shape[:2]
    if top >= height:
        return
    image[top:] = _gradient(width, height - top, shade(colour, 0.85), shade(colour, 1.08))
    centre = width * rng.uniform(0.3, 0.7)
    spread = np.linspace(-4, 4, 17)
    lines = tuple(points((centre + s * width * 0.12, top), (centre + s * width * 0.35, height)) for s in spread)
    paint_layers(image, [Layer(lines, Stroke(shade(colour, 0.75), 1))])


def room(rng: np.random.Generator, width: int, height: int, floor_y: float, pieces: int) -> Image:
    """A room at somebody's home."""
    wall = shade(pick(rng, WALL, 6), rng.uniform(0.8, 1.0))
    image = _gradient(width, height, shade(wall, 1.03), shade(wall, 0.92))
    _plank_floor(rng, image, int(floor_y), pick(rng, FLOOR, 6))
    layers = [Layer((box(-2, floor_y - 7, width + 2, floor_y),), Flat(shade(wall, 1.12)))]
    for _ in range(pieces):
        layers += draw_furniture(rng, width, height, floor_y)
    paint_layers(image, layers)
    _glow(image, width * rng.uniform(0.0, 1.0), height * rng.uniform(0.0, 0.4), 0.4)
    return image


def street(rng: np.random.Generator, width: int, height: int, floor_y: float, pieces: int) -> Image:
    """A street with houses, out of focus."""
    sky = pick(rng, ((240.0, 215.0, 185.0), (225.0, 220.0, 215.0), (190.0, 200.0, 240.0)))
    image = _gradient(width, height, shade(sky, 0.92), shade(sky, 1.08))
    layers: list[Layer] = []
    x = -rng.uniform(0, 0.2) * width
    while x < width:
        w, h = width * rng.uniform(0.18, 0.4), height * rng.uniform(0.3, 0.85)
        front = blend(pick(rng, FURNITURE), WHITE, rng.uniform(0.1, 0.5))
        top = floor_y - h
        layers.append(Layer((box(x, top, x + w, floor_y),), Flat(front)))
        columns, rows = max(2, int(w / 26)), max(2, int(h / 40))
        windows = tuple(
            box(
                x + w * (i + 0.25) / columns,
                top + h * (j + 0.25) / rows,
                x + w * (i + 0.75) / columns,
                top + h * (j + 0.75) / rows,
            )
            for i in range(columns)
            for j in range(rows - 1)
        )
        layers.append(Layer(windows, Flat(blend(shade(front, 0.55), sky, 0.3))))
        x += w
    paint_layers(image, layers)
    pavement = pick(rng, FLOOR, 6)
    if floor_y < height:
        image[int(floor_y) :] = _gradient(width, height - int(floor_y), shade(pavement, 0.85), shade(pavement, 1.05))
    greens: list[Layer] = []
    for _ in range(pieces // 2):
        tx, r = rng.uniform(0, width), width * rng.uniform(0.08, 0.16)
        leaf = pick(rng, ((70.0, 125.0, 85.0), (60.0, 110.0, 100.0), (90.0, 140.0, 60.0)))
        ty = floor_y - r * rng.uniform(2.0, 3.2)
        greens.append(Layer((points((tx, ty), (tx, floor_y)),), Stroke((50.0, 65.0, 85.0), r * 0.2)))
        blobs = tuple(
            ellipse(tx + dx * r, ty + dy * r, r * 0.7, r * 0.7) for dx, dy in ((-0.5, 0.2), (0.5, 0.2), (0.0, -0.4))
        )
        greens.append(Layer(blobs, Flat(leaf)))
    paint_layers(image, greens)
    blurred: Image = np.asarray(cv2.blur(image, (5, 5)), np.uint8)
    return blurred


def surface(rng: np.random.Generator, width: int, height: int, plain: bool) -> Image:
    """What a garment lies on: paper, wood, or a bedspread."""
    if plain:
        return studio(rng, width, height, height)
    if rng.random() < 0.5:
        colour = pick(rng, FLOOR, 6)
        image = _gradient(width, height, colour, shade(colour, 0.95))
        layers: list[Layer] = []
        edges = np.arange(-rng.uniform(0, 60), height, height / rng.integers(5, 9))
        for top, bottom in pairwise(edges.tolist()):
            layers.append(Layer((box(-2, top, width + 2, bottom),), Flat(shade(colour, rng.uniform(0.9, 1.1)))))
        layers.append(Layer(tuple(points((-2, y), (width + 2, y)) for y in edges), Stroke(shade(colour, 0.7), 2)))
        paint_layers(image, layers)
    else:
        colour = blend(pick(rng, CLOTH), (235.0, 235.0, 235.0), 0.6)
        image = _gradient(width, height, shade(colour, 1.02), shade(colour, 0.94))
        creases = tuple(
            points(
                (rng.uniform(0, width), rng.uniform(0, height)),
                (rng.uniform(0, width), rng.uniform(0, height)),
            )
            for _ in range(4)
        )
        paint_layers(image, [Layer(creases, Stroke(shade(colour, 0.9), 3))])
        image[:] = cv2.blur(image, (9, 9))
    _glow(image, width * 0.4, height * 0.3, 0.4)
    return image


def ground_shadow(x: float, y: float, size: float) -> Layer:
    """The shadow of a standing figure."""
    return Layer((ellipse(x, y, size, size * 0.16),), Shadow(0.35, max(3.0, size * 0.12)))
