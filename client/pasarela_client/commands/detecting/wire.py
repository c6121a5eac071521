"""Frames on their way to the server: as pixels, or as JPEG. Pure but for the encoding."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from pasarela_client.detections import FrameResult
from pasarela_client.frame import Frame
from pasarela_client.images import ImageSource
from pasarela_client.sources.source import as_jpeg

USUAL_QUALITY: Final = 90
"""JPEG costs client and server less work than the pixels of HD video do, also on one machine, and a 27th of the bytes;
docs/client.md has the figures."""


def parse_jpeg(text: str) -> int | None:
    """What a person wrote after `--jpeg`: a quality, or None for pixels.

    Raises:
        argparse.ArgumentTypeError: It is neither.
    """
    if text == "off":
        return None
    if text.isdecimal() and 1 <= int(text) <= 95:
        return int(text)
    raise argparse.ArgumentTypeError(f"a quality from 1 to 95, or 'off', not {text!r}")


class SentJpeg(bytes):
    """A JPEG that is sent in the place of pixels. These live as long as the frame and its result do."""

    pixels: npt.NDArray[np.uint8] | None = None


def as_sent(frames: Iterable[Frame], quality: int | None, *, keep: bool) -> Iterator[Frame]:
    """Frames as they are to be sent.

    Args:
        frames: Pulled by whoever iterates.
        quality: Of the JPEG that takes the place of pixels; None sends these.
        keep: Whether pixels are kept beside their JPEG, to be drawn on.
    """
    for frame in frames:
        if quality is None or not isinstance(frame.image, np.ndarray):
            yield frame
            continue
        jpeg = SentJpeg(as_jpeg(frame.image, quality))
        if keep:
            jpeg.pixels = frame.image
        yield replace(frame, image=jpeg)


def to_draw_on(result: FrameResult) -> ImageSource | None:
    """The image of a result before it became a JPEG, if it did and that was kept; else as it was sent."""
    image = result.image
    return image.pixels if isinstance(image, SentJpeg) and image.pixels is not None else image
