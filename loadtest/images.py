"""The images that a load test sends."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DEFAULT_FOLDERS: Final = (ROOT / "docs" / "images" / "samples", ROOT / "tests" / "data")
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class NoImages(Exception):
    """There is nothing to send; the message says where it was looked for."""


def load_images(folder: Path | None = None) -> list[bytes]:
    """The files to send, as they are; the same for every user and for every run.

    Args:
        folder: None takes the first of the project's own folders that has images.

    Raises:
        NoImages: There are none.
    """
    folders = DEFAULT_FOLDERS if folder is None else (folder,)
    for candidate in folders:
        if candidate.is_dir():
            paths = sorted(path for path in candidate.iterdir() if path.suffix.lower() in _SUFFIXES)
            if paths:
                return [path.read_bytes() for path in paths]
    raise NoImages(f"no images to send in {' or '.join(map(str, folders))}; name a folder with --images")
