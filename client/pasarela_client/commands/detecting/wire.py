"""Frames on their way to the server: as pixels, or as JPEG. Pure but for the encoding."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from pasarela_client.addresses import parse_addresses
from pasarela_client.frame import Frame
from pasarela_client.images import ImageSource
from pasarela_client.sources.source import as_jpeg

Jpeg = int | Literal["auto", "off"]

AUTO_QUALITY: Final = 90


def parse_jpeg(text: str) -> Jpeg:
    """What a person wrote after `--jpeg`.

    Raises:
        argparse.ArgumentTypeError: It is no quality.
    """
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    if text.isdecimal() and 1 <= int(text) <= 95:
        return int(text)
    raise argparse.ArgumentTypeError(f"a quality from 1 to 95, 'auto' or 'off', not {text!r}")


def quality_for(jpeg: Jpeg, url: str) -> int | None:
    """The quality to send frames with; None sends their pixels.

    Between processes of one machine both cost the same work, and pixels are exact; to others a JPEG saves 19 bytes of
    20 and more (docs/client.md has the figures).

    Args:
        jpeg: What was asked for.
        url: Where the servers are, with commas between.
    """
    if jpeg == "off":
        return None
    if jpeg != "auto":
        return jpeg
    return None if all(address.local for address in parse_addresses(url)) else AUTO_QUALITY


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
