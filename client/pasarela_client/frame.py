"""One image on its way into a stream, with what is known of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pasarela_client.images import Channels, ImageSource


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image of a folder, a video or a camera. Its results carry `origin`, `timestamp_s` and the image."""

    image: ImageSource
    """In any form that `Detector.detect` takes."""
    origin: str = ""
    """Names it for people: the path of the file or video, the address of the camera."""
    timestamp_s: float | None = None
    """In a recording, seconds from its beginning; of a live source, seconds since the epoch; None of a still image."""
    channels: Channels = "RGB"
    """Order of the last axis if the image is an array."""


def as_frame(image: ImageSource | Frame, channels: Channels = "RGB") -> Frame:
    """The frame of an image, called after its path if it has one; a frame stays as it is."""
    if isinstance(image, Frame):
        return image
    return Frame(image, str(image) if isinstance(image, str | Path) else "", None, channels)
