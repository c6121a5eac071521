"""Frames on their way to the server: as pixels, or as JPEG. Pure but for the encoding."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

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


class Sending:
    """Frames as they are to be sent, numbered as their results will be; keeps pixels that are to be drawn on."""

    def __init__(self, frames: Iterable[Frame], quality: int | None, *, keep: bool) -> None:
        """Prepares it; nothing is pulled.

        Args:
            frames: Pulled by whoever iterates.
            quality: Of the JPEG that takes the place of pixels; None sends these.
            keep: Whether pixels are kept until `kept` asks for them.
        """
        self._frames = frames
        self._quality = quality
        self._keep = keep
        self._kept: dict[int, ImageSource] = {}

    def __iter__(self) -> Iterator[Frame]:
        for index, frame in enumerate(self._frames):
            if self._quality is None or not isinstance(frame.image, np.ndarray):
                yield frame
                continue
            if self._keep:
                self._kept[index] = frame.image
            yield replace(frame, image=as_jpeg(frame.image, self._quality))

    def kept(self, frame_index: int | None) -> ImageSource | None:
        """The pixels of a frame that was sent as JPEG, once; None if it was sent as it was."""
        return self._kept.pop(frame_index, None) if frame_index is not None else None
