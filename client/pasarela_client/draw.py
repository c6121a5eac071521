"""Pictures of detections. With `lettering` and the encoding of Pillow images, what needs Pillow."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from pasarela_client.detections import Detections
from pasarela_client.errors import ImageUnreadable, InvalidRequest, MissingExtra, PasarelaError
from pasarela_client.images import Channels, ImageSource, check_array, encoded_bytes, is_picture
from pasarela_client.labels import Rectangle, place_labels
from pasarela_client.lettering import Caption
from pasarela_client.palette import Colour, class_colour, text_colour
from pasarela_client.pixels import Pixels, outline
from pasarela_client.unfinished import UnfinishedFile

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SMALLEST_FONT_PX: Final = 7
"""Smaller letters are not readable, so the text is shortened instead."""


@dataclass(frozen=True, slots=True)
class Style:
    """How detections are drawn."""

    labels: bool = True
    """Whether to write the names of the classes."""
    scores: bool = True
    """Whether to write the scores."""
    line_width_px: int | None = None
    """Width of the boxes' lines; None: as it fits the picture."""
    font_size_px: int | None = None
    """Size of the letters; None: as it fits the picture."""

    def __post_init__(self) -> None:
        for name, value in (("line_width_px", self.line_width_px), ("font_size_px", self.font_size_px)):
            if value is not None and value < 1:
                raise InvalidRequest(f"{name} is at least 1, not {value}")


USUAL: Final = Style()


def open_picture(image: ImageSource, *, channels: Channels = "RGB") -> Picture:
    """The image as viewers show it: RGB, upright. Always a copy.

    Raises:
        MissingExtra: Pillow is not installed.
        InvalidRequest: The image cannot be opened.
    """
    _require_pillow()
    from PIL import Image, ImageOps

    if isinstance(image, np.ndarray):
        return Image.fromarray(_copy_array(image, channels))
    try:
        if is_picture(image):
            return ImageOps.exif_transpose(image).convert("RGB")
        with Image.open(io.BytesIO(encoded_bytes(image))) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except PasarelaError:
        raise
    except Exception as error:
        # Pillow has no root of errors: damaged EXIF data is a SyntaxError, a long text in a PNG a ValueError; and where
        # Ultralytics is imported too, a format that it does not know an ImportError.
        named = _name(image) if isinstance(image, str | Path) else "the image"
        raise ImageUnreadable(f"cannot open {named}: {error}") from error


def draw(image: ImageSource, found: Detections, *, channels: Channels = "RGB", style: Style = USUAL) -> Picture:
    """A copy of the image with boxes, names and scores on it.

    Args:
        image: The image that was detected on, in any form that `Detector.detect` takes.
        found: Their boxes are in pixels of that image.
        channels: Order of the last axis if `image` is an array.
        style: How to draw.

    Raises:
        MissingExtra: Pillow is not installed.
        InvalidRequest: The image cannot be opened, or has another size than the one detected on.
    """
    _require_pillow()
    from PIL import Image

    return Image.fromarray(_draw_on(_open_pixels(image, channels), found, style, _name(image)))


def draw_array(
    image: npt.NDArray[np.uint8], found: Detections, *, channels: Channels = "RGB", style: Style = USUAL
) -> Pixels:
    """The same for frames of a video, as an array: quicker than a Pillow image.

    Args:
        image: (height, width, 3) of uint8; it stays as it is.
        found: Their boxes are in pixels of that image.
        channels: Order of the last axis of `image`.
        style: How to draw.

    Returns:
        (height, width, 3) of uint8, RGB.

    Raises:
        MissingExtra: Pillow, which has the letters, is not installed.
        InvalidRequest: This is no such array, or it has another size than the image detected on.
    """
    return _draw_on(_copy_array(image, channels), found, style, "this one")


def crop(image: ImageSource, found: Detections, *, channels: Channels = "RGB") -> list[Picture]:
    """What lies in each box, at least one pixel of it.

    Raises:
        MissingExtra: Pillow is not installed.
        InvalidRequest: The image cannot be opened, or has another size than the one detected on.
    """
    picture = open_picture(image, channels=channels)
    _check_size(picture.size, found, _name(image))
    boxes = (_round_box(box, picture.size) for box in found.boxes.tolist())
    return [picture.crop((box.left, box.top, box.right, box.bottom)) for box in boxes]


def save_picture(picture: Picture, path: str | Path) -> Path:
    """Writes a picture in the format of the file's suffix, whole or not at all, in the place of an older one.

    Raises:
        InvalidRequest: The suffix is of no format that can be written.
        ExportFailed: The file cannot be written.
    """
    path = Path(path)
    try:
        format_name = _format_of(path)
        content = io.BytesIO()
        picture.save(content, format_name, quality=92)
    except (KeyError, OSError, ValueError) as error:
        raise InvalidRequest(f"cannot save a picture as {path}: {error}") from error
    with UnfinishedFile(path, overwrite=True) as file:
        file.write(content.getbuffer())
    return path


def line_width_px(picture_size: tuple[int, int]) -> int:
    """Width of a box's line that fits the picture."""
    return max(2, round(min(picture_size) / 240))


def font_size_px(picture_size: tuple[int, int]) -> int:
    """Size of letters that fits the picture."""
    return max(10, round(min(picture_size) / 30))


def _draw_on(pixels: Pixels, found: Detections, style: Style, name: str) -> Pixels:
    size = (pixels.shape[1], pixels.shape[0])
    _check_size(size, found, name)
    line_px = style.line_width_px or line_width_px(size)
    boxes = [_round_box(box, size) for box in found.boxes.tolist()]
    colours = [class_colour(class_id) for class_id in found.class_ids.tolist()]
    for box, colour in zip(reversed(boxes), reversed(colours), strict=True):
        _draw_box(pixels, box, colour, line_px)
    if not (style.labels or style.scores):
        return pixels
    _require_pillow()
    font_px = style.font_size_px or font_size_px(size)
    columns = zip(found.names.tolist(), found.scores.tolist(), boxes, colours, strict=True)
    captions = [
        (_fit_caption(name if style.labels else "", f"{score:.2f}" if style.scores else "", font_px, size), box, colour)
        for name, score, box, colour in columns
    ]
    legible = [(caption, box, colour) for caption, box, colour in captions if caption.fits(size)]
    places = place_labels([box for _, box, _ in legible], [caption.size for caption, _, _ in legible], size)
    for (caption, _, colour), place in reversed(list(zip(legible, places, strict=True))):
        caption.paint(pixels, place.left, place.top, colour)
    return pixels


def _fit_caption(name: str, score: str, size_px: int, picture_size: tuple[int, int]) -> Caption:
    """The largest caption up to the size that fits; if none does, the smallest with the name cut short."""
    words = tuple(word for word in (name, score) if word)
    caption = Caption(words or (" ",), size_px)
    while not caption.fits(picture_size) and caption.size_px > SMALLEST_FONT_PX:
        caption = Caption(caption.words, caption.size_px - 1)
    for length in range(len(name) - 1, -1, -1):
        if caption.fits(picture_size):
            break
        words = (f"{name[:length]}…" if length or not score else "", score)
        caption = Caption(tuple(word for word in words if word), caption.size_px)
    return caption


def _draw_box(pixels: Pixels, box: Rectangle, colour: Colour, line_px: int) -> None:
    halo = max(1, line_px // 3)
    line = (box.left - halo, box.top - halo, box.right + halo, box.bottom + halo)
    outline(pixels, *line, text_colour(colour), line_px + 2 * halo)
    outline(pixels, box.left, box.top, box.right, box.bottom, colour, line_px)


def _round_box(box: list[float], picture_size: tuple[int, int]) -> Rectangle:
    """The box on whole pixels inside the picture, at least one pixel wide and high."""
    width, height = picture_size
    left = min(max(0, round(box[0])), width - 1)
    top = min(max(0, round(box[1])), height - 1)
    return Rectangle(left, top, max(left + 1, min(round(box[2]), width)), max(top + 1, min(round(box[3]), height)))


def _open_pixels(image: ImageSource, channels: Channels) -> Pixels:
    if isinstance(image, np.ndarray):
        return _copy_array(image, channels)
    return np.array(open_picture(image))


def _copy_array(array: npt.NDArray[np.uint8], channels: Channels) -> Pixels:
    """A copy in RGB that lies in one piece."""
    check_array(array, channels)
    if channels == "RGB":
        return np.array(array, order="C")
    pixels: Pixels = np.empty(array.shape, np.uint8)
    for channel in range(3):  # a plane at a time: several times as quick as copying a reversed view
        pixels[..., channel] = array[..., 2 - channel]
    return pixels


def _check_size(size: tuple[int, int], found: Detections, name: str) -> None:
    if size != found.image_size:
        expected, actual = ("x".join(map(str, pair)) for pair in (found.image_size, size))
        raise InvalidRequest(f"the detections belong to an image of {expected} pixels, {name} has {actual}")


def _name(image: ImageSource) -> str:
    return str(image) if isinstance(image, str | Path) else "this one"


def _format_of(path: Path) -> str:
    from PIL import Image

    Image.init()
    known = Image.registered_extensions()
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise ValueError(
            f"pictures are .jpg, .png, .webp and others, not {path.suffix or 'without a suffix'}"
        ) from None


def _require_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtra("pictures need Pillow: pip install 'pasarela-client[media]'") from error
