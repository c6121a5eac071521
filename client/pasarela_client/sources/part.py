"""One of the things that a source is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pasarela_client.errors import SourceUnreadable
from pasarela_client.frame import Frame


class Part(Protocol):
    """A run of image files, a video, a camera: what frames are taken from, one part after the other."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def live(self) -> bool:
        """Whether frames come when they happen, and cannot wait."""
        ...

    @property
    def moving(self) -> bool:
        """Whether its frames follow each other in time, as those of a video or a camera do."""
        ...

    @property
    def paths(self) -> Sequence[Path]:
        """The image files that it consists of."""
        ...

    @property
    def count(self) -> int | None:
        """About how many frames it gives; None if nobody knows. May open it."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames a second; None if it has no time, or does not say. May open it."""
        ...

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, as viewers show it; None if that is not known. May open it."""
        ...

    @property
    def damaged(self) -> int:
        """Frames so far that are not whole; what could not be decoded at all was left out."""
        ...

    def open(self) -> None:
        """Makes sure that there is something to take. Not needed before `frames`.

        Raises:
            SourceUnreadable: There is nothing.
        """
        ...

    def frames(self) -> Iterator[Frame]:
        """Its frames, once. Ends early, and within a moment, when it is closed.

        Raises:
            SourceUnreadable: After the last frame that could be had: why there are no more, though there should be.
        """
        ...

    def close(self) -> None:
        """Gives up; any thread may. Harmless when it is over."""
        ...


class Quiet:
    """A part without a time and a size of its own, of which nothing can be damaged."""

    live = False
    moving = False
    paths: Sequence[Path] = ()
    fps: float | None = None
    size: tuple[int, int] | None = None
    damaged = 0

    def open(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        """There is nothing to close."""


class Unreadable(Quiet):
    """Stands for what turned out to be nothing."""

    count = 0

    def __init__(self, error: SourceUnreadable) -> None:
        self.name = ""
        self._error = error

    def frames(self) -> Iterator[Frame]:
        """Raises the error."""
        raise self._error
