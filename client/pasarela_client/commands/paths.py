"""Which files a person means by files, folders and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""What counts as an image in a folder; a file that is named itself may be called as it likes."""


class NothingFound(Exception):
    """An argument stands for no file; the message says why."""


def expand(argument: str) -> list[Path]:
    """The files that one argument stands for: itself, the images in a folder, or what a glob matches.

    Raises:
        NothingFound: There are none.
    """
    path = Path(argument)
    if path.is_dir():
        found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file())
        if not found:
            raise NothingFound(f"no images ({', '.join(sorted(SUFFIXES))}) in the folder {argument}")
        return found
    if path.exists() or not glob.has_magic(argument):
        return [path]
    matches = map(Path, glob.glob(argument, recursive=True))  # noqa: PTH207 - pathlib takes no absolute globs
    found = sorted(match for match in matches if match.is_file())
    if not found:
        raise NothingFound(f"nothing matches {argument}")
    return found


def unused_names(paths: Iterable[Path], folder: Path) -> Iterator[Path]:
    """For each path a file of the same name in the folder; a name that comes again is numbered."""
    used: set[Path] = set()
    for path in paths:
        target, number = folder / path.name, 1
        while target in used:
            number += 1
            target = folder / f"{path.stem}-{number}{path.suffix}"
        used.add(target)
        yield target
