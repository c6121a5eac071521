"""Colours, as blue, green, red from 0 to 255 (the order OpenCV writes)."""

from typing import Final

import numpy as np

Colour = tuple[float, float, float]


def _bgr(code: str) -> Colour:
    return (int(code[4:6], 16), int(code[2:4], 16), int(code[0:2], 16))


def _palette(codes: str) -> tuple[Colour, ...]:
    return tuple(_bgr(code) for code in codes.split())


CLOTH: Final = _palette(
    "e63946 f07167 f4a261 e9c46a ffd166 90be6d 43aa8b 2a9d8f 00b4d8 4895ef 3a5a9b 1d3557 5e60ce 7b2cbf "
    "c77dff ff70a6 d81159 8f2d56 f8f9fa e9ecef ced4da 6c757d 343a40 212529 d4a373 a98467 6f4518 606c38 "
    "283618 b7e4c7 ffcad4 bde0fe cdb4db fefae0"
)
DENIM: Final = _palette("1f3a5f 2f5d8a 5b84b1 8fb3d9 20242b c9d6e3")
SKIN: Final = _palette("ffdbc8 f6cdb0 eebb99 dda47e c68a62 a86f4a 8a5636 6b4029 4d2d1f")
HAIR: Final = _palette("1b1412 2c1b14 4a2c1a 6f4326 9a6236 c99a5b e6c98a a33b20 8d8d93 d46a9f 4a6fa5")
WALL: Final = _palette("e8e3da d9e2e0 cfd8e0 e6d8cf dcd6e6 d5dfcc efe6d2 c3cbd0 b9c4b7 d8c4b6 a9b4bd")
FLOOR: Final = _palette("a98b6d 8d7358 c2a582 9aa0a3 7d8387 b8afa3 6e5a48 cdb79e")
STUDIO: Final = _palette("f5f5f5 ffffff efece6 e3e8ee f1e3e0 e4eee6 dcd8d2 f7efe2 d7dde2")
FURNITURE: Final = _palette("7a5b43 59483a 8e7d6b a39382 5c6b73 3f4a52 93a3a8 b5a99a 6d7f6a c9bfb0 846a6a")
BAG: Final = _palette("5b3a29 8c5a3c c08552 22223b 9d2b3b 3c6e71 d9ae61 e5989b")

WHITE: Final[Colour] = (250.0, 250.0, 250.0)
DARK: Final[Colour] = (40.0, 36.0, 34.0)


def pick(rng: np.random.Generator, palette: tuple[Colour, ...], jitter: float = 8.0) -> Colour:
    """Draw one colour, slightly off the palette's."""
    blue, green, red = palette[int(rng.integers(len(palette)))]
    change = rng.normal(0, jitter, 3)
    return shade((blue + change[0], green + change[1], red + change[2]), 1.0)


def shade(colour: Colour, factor: float) -> Colour:
    """Make a colour darker (factor below 1) or lighter."""
    blue, green, red = (min(255.0, max(0.0, channel * factor)) for channel in colour)
    return (blue, green, red)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours; `share` is that of the second."""
    blue, green, red = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return (blue, green, red)


def distance(first: Colour, second: Colour) -> float:
    """How far apart two colours are, in units of one channel."""
    return float(np.linalg.norm(np.subtract(first, second)))
