"""How frames are taken from a source."""

from __future__ import annotations

from dataclasses import dataclass

from pasarela_client.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What may be asked of every source."""

    every: int = 1
    """Take each so-many-th frame of a video or camera, and each so-many-th file of several, beginning with the
    first."""
    max_frames: int | None = None
    """End after so many frames; None takes all."""
    recursive: bool = False
    """Whether a folder stands for those below it, too."""
    at_own_speed: bool = False
    """Whether recorded frames come when their time has come, as from a camera, and not as fast as they are taken."""
    jpeg_quality: int | None = None
    """Frames of videos and cameras are given as JPEG files of this quality, 1 to 95; None gives their pixels."""
    reconnect_s: float | None = 60.0
    """For how long a live source that was there may be gone before that is its end; None waits for ever."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InvalidRequest(f"every is at least 1, not {self.every}")
        if self.max_frames is not None and self.max_frames < 1:
            raise InvalidRequest(f"max_frames is at least 1, not {self.max_frames}")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 95:
            raise InvalidRequest(f"jpeg_quality is from 1 to 95, not {self.jpeg_quality}")
        if self.reconnect_s is not None and self.reconnect_s < 0:
            raise InvalidRequest(f"reconnect_s is at least 0, not {self.reconnect_s}")
