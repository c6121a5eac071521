"""How the image of a result is called. Pure."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pasarela_client.detections import Detections
    from pasarela_client.frame_error import FrameError


def name_place(origin: str, frame_index: int | None, timestamp_s: float | None) -> str:
    """For people: the file, or the frame of the video or stream; empty if nothing is known."""
    frame = "" if frame_index is None else f"frame {frame_index}"
    if not origin:
        return frame
    return f"{frame} of {origin}" if frame and timestamp_s is not None else origin


def name_origin(result: Detections | FrameError) -> str:
    """The origin; that of a result which came without one is the path that its image was given by."""
    if not result.origin and isinstance(result.image, str | Path):
        return str(result.image)
    return result.origin


def name_file(result: Detections | FrameError, number: int) -> str:
    """Names the image of a result among others: its path, or for frames of a video that and the frame's index.

    Args:
        result: Of a still image if it has no time.
        number: Which of the results this is, for an image of which nothing is known.
    """
    origin = name_origin(result)
    if not origin:
        return f"image_{number:06d}" if result.frame_index is None else f"frame_{result.frame_index:06d}"
    moving = result.timestamp_s is not None and result.frame_index is not None
    return f"{origin}#{result.frame_index:06d}" if moving else origin


def name_stem(result: Detections | FrameError, number: int) -> str:
    """The same as the name of a file without folder and suffix: `street` for `photos/street.jpg`, `clip_000012`."""
    origin = name_origin(result)
    if not origin:
        return name_file(result, number)
    stem = PurePosixPath(origin.replace("\0", "")).stem or "image"
    moving = result.timestamp_s is not None and result.frame_index is not None
    return f"{stem}_{result.frame_index:06d}" if moving else stem
