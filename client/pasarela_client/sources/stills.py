"""Images that are files, or are piped in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pasarela_client.errors import SourceUnreadable
from pasarela_client.frame import Frame
from pasarela_client.sources.image_stream import BrokenImage, split_images
from pasarela_client.sources.part import Quiet
from pasarela_client.sources.pipe import Pipe


class ImageFiles(Quiet):
    """Files that are sent as they are; nothing is read before that, so an unreadable one is an error of its frame."""

    def __init__(self, paths: Sequence[Path], *, every: int = 1) -> None:
        self.paths = paths[::every]
        self.count = len(self.paths)
        self.name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} images"

    def frames(self) -> Iterator[Frame]:
        """A frame a file."""
        for path in self.paths:
            yield Frame(path, origin=str(path))


class PipedImages(Quiet):
    """Encoded images one after the other, such as MJPEG."""

    count = None

    def __init__(self, pipe: Pipe, name: str, *, every: int = 1) -> None:
        self.name = name
        self._pipe = pipe
        self._every = every

    def frames(self) -> Iterator[Frame]:
        """A frame an image; it is called after its number.

        Raises:
            SourceUnreadable: They end within an image, or what comes is none.
        """
        try:
            for index, image in enumerate(split_images(self._pipe)):
                if index % self._every == 0:
                    yield Frame(image, origin=f"{self.name}-{index + 1:06d}")
        except BrokenImage as error:
            raise SourceUnreadable(f"{self.name}: {error}") from error

    def close(self) -> None:
        """Wakes who waits for the next image."""
        self._pipe.close()
