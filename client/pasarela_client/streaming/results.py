"""What comes out of a stream for each frame."""

from __future__ import annotations

from pasarela_client.detections import Detections, FrameError
from pasarela_client.errors import PasarelaError
from pasarela_client.frame import Frame

FrameResult = Detections | FrameError
"""What a stream yields for each frame."""


def failed(error: PasarelaError, index: int, frame: Frame) -> FrameError:
    """The error that stands where the frame's detections would stand."""
    return FrameError(
        index, error, origin=frame.origin, timestamp_s=frame.timestamp_s, image=frame.image, channels=frame.channels
    )
