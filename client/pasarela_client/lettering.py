"""Text as pixels, in the font that comes with Pillow. What was rendered is kept, since labels repeat in every frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pasarela_client.errors import MissingExtra
from pasarela_client.palette import Colour, text_colour
from pasarela_client.pixels import Pixels, fill

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont


@dataclass(frozen=True, slots=True)
class Caption:
    """Words beside each other in letters of one size, with a margin around them."""

    words: tuple[str, ...]
    size_px: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return _size(self.words, self.size_px)

    def fits(self, picture_size: tuple[int, int]) -> bool:
        """Whether the caption can lie inside the picture."""
        width, height = self.size
        return width <= picture_size[0] and height <= picture_size[1]

    def paint(self, pixels: Pixels, left: int, top: int, colour: Colour) -> None:
        """Onto pixels that have room for it: black or white on the colour, whichever is read better."""
        width, height = self.size
        fill(pixels, left, top, left + width, top + height, colour)
        margin = _margin_px(self.size_px)
        at = left + margin
        for word in self.words:
            letters = _letters(word, self.size_px, colour)
            pixels[top + margin : top + margin + letters.shape[0], at : at + letters.shape[1]] = letters
            at += letters.shape[1] + _gap_px(self.size_px)


@lru_cache(maxsize=1024)
def _size(words: tuple[str, ...], size_px: int) -> tuple[int, int]:
    masks = [_mask(word, size_px) for word in words]
    gaps = _gap_px(size_px) * (len(masks) - 1)
    margin = _margin_px(size_px)
    return sum(mask.shape[1] for mask in masks) + gaps + 2 * margin, masks[0].shape[0] + 2 * margin


def _margin_px(size_px: int) -> int:
    return max(1, size_px // 6)


@lru_cache(maxsize=64)
def _gap_px(size_px: int) -> int:
    return max(1, round(_font(size_px).getlength(" ")))


@lru_cache(maxsize=512)
def _letters(text: str, size_px: int, colour: Colour) -> Pixels:
    """(height, width, 3)."""
    return _shades(colour)[_mask(text, size_px)]


@lru_cache(maxsize=64)
def _shades(colour: Colour) -> Pixels:
    """(256, 3): from the colour to that of letters on it."""
    share = np.linspace(0, 1, 256)[:, None]
    shades: Pixels = np.round(np.array(colour) * (1 - share) + np.array(text_colour(colour)) * share).astype(np.uint8)
    return shades


@lru_cache(maxsize=1024)
def _mask(text: str, size_px: int) -> Pixels:
    """(height, width): how much of each pixel is covered, 0 to 255; texts of one size have one height."""
    from PIL import Image, ImageDraw

    font = _font(size_px)
    left, _, right, _ = font.getbbox(text)
    _, top, _, bottom = font.getbbox("Ågjy")
    mask = Image.new("L", (max(1, math.ceil(right - left)), math.ceil(bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font)
    return np.asarray(mask)


@lru_cache(maxsize=64)
def _font(size_px: int) -> FreeTypeFont | ImageFont:
    try:
        from PIL.ImageFont import load_default
    except ImportError as error:
        raise MissingExtra("pictures need Pillow: pip install 'pasarela-client[media]'") from error
    return load_default(size=size_px)
