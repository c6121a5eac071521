"""A source of frames: its parts, one after the other."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from pasarela_client.errors import MissingExtra, SourceUnreadable
from pasarela_client.frame import Frame
from pasarela_client.sources.options import SourceOptions
from pasarela_client.sources.part import Part

_log = logging.getLogger(__name__)

OnFault = Callable[[SourceUnreadable], None]
"""Is told of a part that gave no frames, or not all of them."""


class Source:
    """Frames of files, videos and cameras, to be iterated once; any thread may close it.

    ::

        with open_source("clip.mp4") as frames:
            for result in detector.detect_stream(frames):
                ...
    """

    def __init__(
        self,
        parts: Iterable[Part],
        options: SourceOptions,
        *,
        name: str,
        roots: Sequence[Path] = (),
        on_fault: OnFault | None = None,
        when_closed: Callable[[], None] = lambda: None,
    ) -> None:
        """Puts parts together; see `open_source`.

        Args:
            parts: A sequence, or an iterator if they become known as they come.
            options: What to take of them; `every` is up to the parts.
            name: For people.
            roots: Folders that were named, or that globs begin with.
            on_fault: Is told what parts did not give, and then the next part follows. None raises it.
            when_closed: Called by `close`.
        """
        self.name = name
        self.roots = tuple(roots)
        """Folders that were named, or that globs begin with: origins below them can be told relative to them."""
        self._when_closed = when_closed
        self._parts = parts
        self._options = options
        self._on_fault = on_fault
        self._closed = threading.Event()
        self._current: Part | None = None
        self._damaged_before = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Source {self.name}{', live' if self.live else ''}>"

    @property
    def live(self) -> bool:
        """Whether frames come when they happen: who takes them too slowly should leave some out (`drop-oldest`)."""
        return self._options.at_own_speed or self.has_cameras

    @property
    def has_cameras(self) -> bool:
        """Whether there are frames that cannot be had a second time."""
        return any(part.live for part in self._known_parts)

    @property
    def image_files(self) -> list[Path]:
        """The files among its parts that are images; those that are named by what is piped in are not known."""
        return [path for part in self._known_parts for path in part.paths]

    @property
    def moving(self) -> list[str]:
        """The names of its videos and cameras; those that are named by what is piped in are not known."""
        return [part.name for part in self._known_parts if part.moving]

    @property
    def only_image_files(self) -> bool:
        """Whether it consists of image files and nothing else, all of which are known."""
        return isinstance(self._parts, Sequence) and all(part.paths for part in self._parts)

    @property
    def count(self) -> int | None:
        """About how many frames it will give; None if nobody knows. Looks into every video."""
        most = self._options.max_frames
        counts = [part.count for part in self._known_parts]
        known = [count for count in counts if count is not None]
        if not isinstance(self._parts, Sequence) or len(known) < len(counts):
            return most if most is not None and self.live else None
        return sum(known) if most is None else min(most, sum(known))

    @property
    def fps(self) -> float | None:
        """Frames a second of its only part, before any are left out; None for stills and for several parts."""
        return self._known_parts[0].fps if len(self._known_parts) == 1 else None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of its only part, as viewers show it; None for stills and for several parts."""
        return self._known_parts[0].size if len(self._known_parts) == 1 else None

    @property
    def damaged(self) -> int:
        """Frames so far that are not whole; what could not be decoded at all was left out."""
        return self._damaged_before + (self._current.damaged if self._current else 0)

    def __iter__(self) -> Iterator[Frame]:
        return islice(self._frames(), self._options.max_frames)

    def close(self) -> None:
        """Ends the iteration, also one that waits for a frame on another thread."""
        self._closed.set()
        for part in self._known_parts:
            part.close()
        if (current := self._current) is not None:
            current.close()
        self._when_closed()

    @property
    def _known_parts(self) -> Sequence[Part]:
        return self._parts if isinstance(self._parts, Sequence) else ()

    def _frames(self) -> Iterator[Frame]:
        for part in self._parts:
            self._current = part
            if self._closed.is_set():
                return
            try:
                for frame in self._in_time(part):
                    yield self._encoded(frame)
            except SourceUnreadable as error:
                if self._on_fault is None:
                    raise
                self._on_fault(error)
            if part.damaged:
                self._tell_damage(part)
            part.close()
            self._damaged_before, self._current = self.damaged, None

    def _in_time(self, part: Part) -> Iterator[Frame]:
        """The frames of a part; recorded ones wait for their time if that is wanted."""
        frames = part.frames()
        if part.live or not self._options.at_own_speed:
            yield from frames
            return
        begun = time.monotonic()
        for frame in frames:
            if frame.timestamp_s is not None:
                self._closed.wait(begun + frame.timestamp_s - time.monotonic())
            if self._closed.is_set():
                return
            yield frame

    def _encoded(self, frame: Frame) -> Frame:
        if self._options.jpeg_quality is None or not isinstance(frame.image, np.ndarray):
            return frame
        return replace(frame, image=as_jpeg(frame.image, self._options.jpeg_quality))

    def _tell_damage(self, part: Part) -> None:
        some = "1 frame is" if part.damaged == 1 else f"{part.damaged} frames are"
        error = SourceUnreadable(f"{part.name}: {some} damaged; what could not be decoded is left out")
        if self._on_fault is None:
            _log.warning("%s", error)
        else:
            self._on_fault(error)


def as_jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    """Pixels (height, width, 3) in RGB as a JPEG file of this quality, 1 to 95.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("sending frames as JPEG needs Pillow: pip install 'pasarela-client[video]'") from error
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()
