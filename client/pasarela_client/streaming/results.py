"""What comes out of a stream for each frame."""

from __future__ import annotations

from pasarela_client.detections import Detections, FrameError
from pasarela_client.errors import PasarelaError, ServerUnreachable
from pasarela_client.frame import Frame

FrameResult = Detections | FrameError
"""What a stream yields for each frame."""


def failed(error: PasarelaError, index: int, frame: Frame) -> FrameError:
    """The error that stands where the frame's detections would stand."""
    return FrameError(
        index, error, origin=frame.origin, timestamp_s=frame.timestamp_s, image=frame.image, channels=frame.channels
    )


def lost(reason: str, cause: PasarelaError, *, model: str, request_id: str) -> ServerUnreachable:
    """The error of what went with its connection."""
    error = ServerUnreachable(f"{reason}: {cause}", model=model, status=cause.status, request_id=request_id)
    error.__cause__ = cause
    return error
