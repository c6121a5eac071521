"""Pictures of detections. The only module, with the encoding of Pillow images, that needs Pillow."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pasarela_client.detections import Detection, Detections
from pasarela_client.errors import ImageUnreadable, InvalidRequest, MissingExtra
from pasarela_client.images import Channels, ImageSource, check_array, encoded_bytes, is_picture
from pasarela_client.labels import Rectangle, place_labels
from pasarela_client.palette import Colour, class_colour, text_colour

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw

SMALLEST_FONT_PX: Final = 7
"""Smaller letters are not readable, so the text is shortened instead."""


def open_picture(image: ImageSource, *, channels: Channels = "RGB") -> Picture:
    """The image as viewers show it: RGB, upright. Always a copy.

    Raises:
        MissingExtra: Pillow is not installed.
        InvalidRequest: The image cannot be opened.
    """
    _require_pillow()
    from PIL import Image, ImageOps

    if isinstance(image, np.ndarray):
        check_array(image, channels)
        return Image.fromarray(np.ascontiguousarray(image if channels == "RGB" else image[..., ::-1]))
    if is_picture(image):
        return ImageOps.exif_transpose(image).convert("RGB")
    content, named = encoded_bytes(image), "the image"
    if isinstance(image, str | Path):
        named = str(image)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ImportError, Image.DecompressionBombError) as error:
        # ImportError: Ultralytics, where it is imported too, makes Pillow look for a plugin for what it does not know.
        raise ImageUnreadable(f"cannot open {named}: {error}") from error


def draw(image: ImageSource, detections: Detections, *, channels: Channels = "RGB") -> Picture:
    """A copy of the image with boxes, names and scores on it.

    Args:
        image: The image that was detected on, in any form that `Detector.detect` takes.
        detections: Their boxes are in pixels of that image.
        channels: Order of the last axis if `image` is an array.

    Raises:
        MissingExtra: Pillow is not installed.
        InvalidRequest: The image cannot be opened, or has another size than the one detected on.
    """
    picture = open_picture(image, channels=channels)
    if picture.size != detections.image_size:
        expected, actual = ("x".join(map(str, size)) for size in (detections.image_size, picture.size))
        raise InvalidRequest(f"the detections belong to an image of {expected} pixels, this one has {actual}")
    from PIL.ImageDraw import Draw

    pen = Draw(picture)
    found = [(detection, _round_box(detection.box, picture.size)) for detection in detections]
    for detection, box in reversed(found):
        _draw_box(pen, box, class_colour(detection.class_id), line_width_px(picture.size))
    captions = [(_Caption.fit(detection, picture.size), box) for detection, box in found]
    legible = [(caption, box) for caption, box in captions if caption.fits(picture.size)]
    places = place_labels([box for _, box in legible], [caption.size for caption, _ in legible], picture.size)
    for (caption, _), place in reversed(list(zip(legible, places, strict=True))):
        caption.write(pen, place)
    return picture


def line_width_px(picture_size: tuple[int, int]) -> int:
    """Width of a box's line that fits the picture."""
    return max(2, round(min(picture_size) / 240))


def font_size_px(picture_size: tuple[int, int]) -> int:
    """Size of letters that fits the picture."""
    return max(10, round(min(picture_size) / 30))


class _Caption:
    """Name and score of one detection in a font."""

    def __init__(self, text: str, size_px: int, colour: Colour) -> None:
        from PIL.ImageFont import load_default

        self._text = text
        self._font = load_default(size=size_px)
        self._colour = colour
        self._pad = max(1, size_px // 6)
        left, _, right, _ = self._font.getbbox(text)
        _, top, _, bottom = self._font.getbbox(text + "Ag")  # the same height with and without long letters
        self._offset = (self._pad - left, self._pad - top)
        self.size = (math.ceil(right - left) + 2 * self._pad, math.ceil(bottom - top) + 2 * self._pad)
        """Width and height of the label in pixels."""

    @classmethod
    def fit(cls, detection: Detection, picture_size: tuple[int, int]) -> _Caption:
        """The largest caption up to the picture's usual one that fits; if none does, the smallest."""
        colour = class_colour(detection.class_id)
        score = f"{detection.score:.2f}"
        size_px = font_size_px(picture_size)
        caption = cls(f"{detection.name} {score}", size_px, colour)
        while not caption.fits(picture_size) and size_px > SMALLEST_FONT_PX:
            size_px -= 1
            caption = cls(f"{detection.name} {score}", size_px, colour)
        for length in range(len(detection.name) - 1, -1, -1):
            if caption.fits(picture_size):
                break
            shortened = f"{detection.name[:length]}… {score}" if length else score
            caption = cls(shortened, size_px, colour)
        return caption

    def fits(self, picture_size: tuple[int, int]) -> bool:
        """Whether the label can lie inside the picture."""
        return self.size[0] <= picture_size[0] and self.size[1] <= picture_size[1]

    def write(self, pen: ImageDraw, place: Rectangle) -> None:
        """Paints the label."""
        pen.rectangle((place.left, place.top, place.right - 1, place.bottom - 1), fill=self._colour)
        at = (place.left + self._offset[0], place.top + self._offset[1])
        pen.text(at, self._text, text_colour(self._colour), font=self._font)


def _draw_box(pen: ImageDraw, box: Rectangle, colour: Colour, line_px: int) -> None:
    halo = max(1, line_px // 3)
    outer = (box.left - halo, box.top - halo, box.right - 1 + halo, box.bottom - 1 + halo)
    pen.rectangle(outer, outline=text_colour(colour), width=line_px + 2 * halo)
    pen.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), outline=colour, width=line_px)


def _round_box(box: tuple[float, float, float, float], picture_size: tuple[int, int]) -> Rectangle:
    """The box on whole pixels inside the picture, at least one pixel wide and high."""
    width, height = picture_size
    left = min(max(0, round(box[0])), width - 1)
    top = min(max(0, round(box[1])), height - 1)
    return Rectangle(left, top, max(left + 1, min(round(box[2]), width)), max(top + 1, min(round(box[3]), height)))


def _require_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtra("pictures need Pillow: pip install 'pasarela-client[media]'") from error
