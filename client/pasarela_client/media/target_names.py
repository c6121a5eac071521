"""What files with results are called. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import unquote, urlsplit

PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""Images of other names are saved as .jpg."""
_UNFIT: Final = re.compile(r"[^\w.-]+")


class TargetNames:
    """A place in a folder for each picture and video, none of them twice."""

    def __init__(self, folder: Path, roots: Sequence[Path] = ()) -> None:
        """Begins without any.

        Args:
            folder: Where all of them go.
            roots: What comes from below one of these keeps its folders.
        """
        self._folder = folder
        self._roots = sorted(roots, key=lambda root: len(root.parts), reverse=True)
        self._used: set[Path] = set()
        self._numbers: dict[Path, int] = {}
        """The last number of each name that came again."""

    def picture(self, origin: str) -> Path:
        """Where the picture of an image goes: under the image's own name, numbered if that comes again."""
        inside = self._inside(origin)
        known = inside.suffix.lower() in PICTURE_SUFFIXES
        return self._unused(inside if known else inside.with_name(f"{inside.name}.jpg"))

    def video(self, origin: str, begun: datetime | None = None) -> Path:
        """Where the video of a video or camera goes.

        Args:
            origin: Its path or address.
            begun: Of a live source; one must not take the place of another.
        """
        if "://" in origin:
            pieces = urlsplit(origin)
            named = PurePath(unquote(pieces.path)).stem
            inside = Path(_UNFIT.sub("-", f"{pieces.hostname or 'stream'}-{named}".rstrip("-.")))
            stem = inside.name
        else:
            inside = self._inside(origin)
            stem = inside.stem
        when = f"-{begun:%Y%m%d-%H%M%S}" if begun is not None else ""
        return self._unused(inside.with_name(f"{stem}{when}.mp4"))

    def _inside(self, origin: str) -> Path:
        path = Path(origin)
        for root in self._roots:
            if path.is_relative_to(root) and path != root:
                below = path.relative_to(root)
                return below if ".." not in below.parts else Path(_named(below))
        return Path(_named(path))

    def _unused(self, inside: Path) -> Path:
        target, number = self._folder / inside, self._numbers.get(inside, 1)
        while target in self._used:
            number += 1
            target = self._folder / inside.with_name(f"{inside.stem}-{number}{inside.suffix}")
        self._used.add(target)
        if number > 1:
            self._numbers[inside] = number
        return target


def _named(path: Path) -> str:
    return path.name if path.name not in {"", ".."} else "image"


def clashing(targets: Iterable[Path], sources: Iterable[Path]) -> Path | None:
    """The first target that is one of the sources, by whatever name; None if there is none."""
    taken = {source.resolve() for source in sources}
    return next((target for target in targets if target.resolve() in taken), None)
