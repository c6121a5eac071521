"""Writes a video, which takes its place when it is whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from pasarela_client.errors import ExportFailed, InvalidRequest
from pasarela_client.media.fitting import Pixels, even_size, fitted
from pasarela_client.sources.containers import require_av
from pasarela_client.unfinished import UnfinishedFile

if TYPE_CHECKING:
    from av.container import OutputContainer

T = TypeVar("T")

CONTAINERS: Final = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""By suffix, FFmpeg's names of the containers that can be written."""

_TICK: Final = Fraction(1, 90_000)
"""Times are kept to a ninetieth of a millisecond, so that those of any frame rate stay apart."""
_USUAL_FPS: Final = 25.0
_ENCODERS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("libx264", {"preset": "veryfast", "crf": "23"}),
    ("libopenh264", {}),
    ("mpeg4", {"q": "4"}),
)
"""H.264 by the encoders that PyAV may have been built with; MPEG-4 where it has none."""


class VideoWriter:
    """An H.264 video of frames that come one by one.

    It stands under its name after `close`, and not before; at the end of a `with` block it is closed, or given up if
    the block raised. One thread at a time.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None) -> None:
        """Opens the file, in the place of an older one; what is in it follows with the first frame.

        Args:
            path: Its suffix decides on the container: .mp4, .m4v, .mov or .mkv.
            fps: Frames a second, of frames without a time; None takes 25.

        Raises:
            InvalidRequest: The suffix is of no container that can be written.
            ExportFailed: Nothing can be written there.
            MissingExtra: PyAV is not installed.
        """
        require_av()
        self.path = Path(path)
        """Where it will stand, and after `close` stands."""
        self.frames = 0
        """How many were written."""
        try:
            self._form = CONTAINERS[self.path.suffix.lower()]
        except KeyError:
            known = ", ".join(CONTAINERS)
            raise InvalidRequest(f"videos are written as {known}, not as {self.path.name}") from None
        self._fps = fps or _USUAL_FPS
        self.given_up = False
        """Whether nothing is left of it: it failed, or was aborted before `close`."""
        self._file = UnfinishedFile(self.path, overwrite=True)
        self._container: OutputContainer | None = None
        self._track: Any = None
        self._size = (0, 0)
        self._first_s: float | None = None
        self._last_tick = -1
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def add(self, pixels: Pixels, timestamp_s: float | None = None) -> None:
        """Appends a frame.

        Args:
            pixels: (height, width, 3) of uint8, RGB. The first one decides on the size of the video (made even by
                repeating the last row or column); others are fitted into it.
            timestamp_s: When it is shown, on any clock; the video begins with its first frame. None puts it one frame
                after the one before.

        Raises:
            ExportFailed: It cannot be written; nothing is left of the video.
            ValueError: The video is over.
        """
        import av

        if self._over:
            raise ValueError(f"the video {self.path} is over, nothing can be added")
        if self._track is None:
            self._guarded(lambda: self._begin(pixels))
        picture = av.VideoFrame.from_ndarray(fitted(pixels, self._size), "rgb24")
        picture.pts = self._last_tick = self._tick_of(timestamp_s)
        picture.time_base = _TICK
        self._guarded(lambda: self._write(picture))
        self.frames += 1

    def close(self) -> Path:
        """Finishes the video, which takes its place; nothing happens if that was done.

        Returns:
            Where it stands.

        Raises:
            ExportFailed: It cannot be written, was given up, or there is no frame in it; nothing is left of it.
        """
        if self._track is None:
            self.abort()
            raise ExportFailed(f"cannot write {self.path}: there is not one frame to put into it")
        if self.given_up:
            raise ExportFailed(f"cannot write {self.path}: it was given up")
        if not self._over:
            self._guarded(self._end)
        return self.path

    def abort(self) -> None:
        """Gives it up: nothing is left of it. Nothing happens after `close`."""
        if self._over:
            return
        self._over = self.given_up = True
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(Exception):  # what it still wants to write, nobody wants
                container.close()
        self._file.discard()

    def _tick_of(self, timestamp_s: float | None) -> int:
        if timestamp_s is None:
            tick = round(self.frames / self._fps / _TICK)
        else:
            self._first_s = timestamp_s if self._first_s is None else self._first_s
            tick = round((timestamp_s - self._first_s) / _TICK)
        return max(tick, self._last_tick + 1)

    def _begin(self, pixels: Pixels) -> None:
        import av
        from av.error import FFmpegError

        self._size = even_size(pixels.shape[1], pixels.shape[0])
        container = av.open(self._file.stream, "w", format=self._form)
        self._container = container
        for name, options in _ENCODERS:
            try:
                track: Any = container.add_stream(name, rate=Fraction(self._fps).limit_denominator(1001))
            except (FFmpegError, ValueError):
                continue
            track.width, track.height = self._size
            track.pix_fmt = "yuv420p"
            track.options = dict(options)
            track.codec_context.time_base = _TICK
            self._track = track
            return
        raise ExportFailed(f"cannot write {self.path}: this PyAV has no encoder for H.264 or MPEG-4")

    def _write(self, picture: object) -> None:
        assert self._container is not None
        self._container.mux(self._track.encode(picture))

    def _end(self) -> None:
        assert self._container is not None
        self._container.mux(self._track.encode(None))
        self._container.close()
        self._container = None
        self._file.commit()
        self._over = True

    def _guarded(self, write: Callable[[], None]) -> None:
        """Writes; if that fails, gives the video up."""
        from av.error import FFmpegError

        try:
            write()
        except (FFmpegError, OSError) as error:
            self.abort()
            if isinstance(error, ExportFailed):
                raise
            reason = getattr(error, "strerror", None) or error
            raise ExportFailed(f"cannot write {self.path}: {reason}", errno=getattr(error, "errno", None)) from error
        except BaseException:
            self.abort()
            raise
