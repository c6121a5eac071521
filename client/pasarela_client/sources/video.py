"""Recorded moving pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pasarela_client.errors import SourceUnreadable
from pasarela_client.frame import Frame
from pasarela_client.sources.opened import Opened
from pasarela_client.sources.upright import upright_pixels


@dataclass(frozen=True, slots=True)
class _Facts:
    count: int | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None


class RecordedVideo:
    """A video that has a beginning and an end. Its frames carry the time at which they are shown."""

    live = False
    moving = True
    paths: Sequence[Path] = ()

    def __init__(self, name: str, open_it: Callable[[], Opened], *, every: int = 1, rewindable: bool = True) -> None:
        """Prepares it; nothing is opened.

        Args:
            name: For people: its path or address.
            open_it: Opens it at its beginning.
            every: Take each so-many-th frame. The others are decoded, as they must be, and not converted.
            rewindable: Whether it can be opened more than once. What comes through a pipe cannot, so that little is
                known of it beforehand.
        """
        self.name = name
        self.damaged = 0
        """See `Part`."""
        self._open_it = open_it
        self._every = every
        self._known: _Facts | SourceUnreadable | None = None if rewindable else _Facts()
        self._closed = threading.Event()

    @property
    def count(self) -> int | None:
        """See `Part`."""
        frames = self._facts().count
        return -(-frames // self._every) if frames else None

    @property
    def fps(self) -> float | None:
        """Of the recording, whatever is left out of it."""
        return self._facts().fps

    @property
    def size(self) -> tuple[int, int] | None:
        """Of the first frame."""
        return self._facts().size

    def open(self) -> None:
        """Makes sure that its first frame can be decoded.

        Raises:
            SourceUnreadable: It cannot be read, is no video, or holds no frame.
        """
        if self._known is None:
            try:
                self._known = self._look()
            except SourceUnreadable as error:
                self._known = error
        if isinstance(self._known, SourceUnreadable):
            raise self._known

    def frames(self) -> Iterator[Frame]:
        """Its frames as arrays, from the beginning.

        Raises:
            SourceUnreadable: It cannot be read, is no video, or was cut short: then after all frames that are there.
        """
        self.damaged = 0
        with self._open_it() as opened:
            for index, (when_s, picture) in enumerate(opened.pictures()):
                if self._closed.is_set():
                    return
                self.damaged = opened.damaged
                if index % self._every == 0:
                    yield Frame(upright_pixels(picture), origin=self.name, timestamp_s=when_s)
            self.damaged = opened.damaged
            if opened.missing:
                raise SourceUnreadable(f"{self.name}: {opened.missing}")

    def close(self) -> None:
        """See `Part`."""
        self._closed.set()

    def _facts(self) -> _Facts:
        try:
            self.open()
        except SourceUnreadable:
            return _Facts()
        return self._known if isinstance(self._known, _Facts) else _Facts()

    def _look(self) -> _Facts:
        with self._open_it() as opened:
            for _, picture in opened.pictures():
                height, width, _ = upright_pixels(picture).shape
                return _Facts(opened.count, opened.fps, (width, height))
            raise SourceUnreadable(f"{self.name}: {opened.missing or 'no frame of it can be decoded'}")
