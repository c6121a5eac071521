"""Finding one's way in a folder that somebody else arranged."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_MOST_FOLDERS = 2000
_SMALL, _LARGE = 32_768, 1_048_576
_LOOKED_AT = 20


def read_bytes(path: str) -> bytes:
    """The content of a file; for small ones in half the time that a file object takes.

    Raises:
        OSError: It cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(file, _SMALL)
        if len(data) < _SMALL:
            return data
        parts = [data]
        while part := os.read(file, _LARGE):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


def folders_below(root: Path, depth: int) -> list[Path]:
    """A folder and those below it, the nearest first, each level by name; at most 2000 of them, no hidden ones."""
    found = [root]
    level = [root]
    for _ in range(depth):
        following: list[Path] = []
        for folder in level:
            with os.scandir(folder) as entries:
                inner = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
            following += [folder / name for name in inner]
            if len(found) + len(following) >= _MOST_FOLDERS:
                return (found + following)[:_MOST_FOLDERS]
        found += following
        level = following
    return found


def names_in(folder: Path, suffix: str) -> list[str]:
    """Names of the files in a folder that end so, sorted."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name.endswith(suffix) and entry.name[0] != ".")


def images_below(folder: Path) -> Iterator[str]:
    """Paths of all images below a folder, relative to it, with forward slashes."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        prefix = "" if parent == str(folder) else Path(parent).relative_to(folder).as_posix() + "/"
        for name in sorted(files):
            if name[0] != "." and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122 - many files
                yield prefix + name


def folder_that_holds(names: Sequence[str], candidates: Sequence[Path]) -> Path | None:
    """The first of the folders that has the most of (the first few of) these files; None if none has any."""
    few = names[:: max(1, len(names) // _LOOKED_AT)][:_LOOKED_AT]
    hits = [(sum((folder / name).is_file() for name in few), -place) for place, folder in enumerate(candidates)]
    best = max(hits, default=(0, 0))
    return candidates[-best[1]] if best[0] else None


def usable_name(name: object) -> str | None:
    """A file's path as a document has it, with forward slashes; None if it leads out of its folder or is none."""
    if not isinstance(name, str) or not name.strip() or "\n" in name or "\0" in name or printable(name) != name:
        return None
    text = name.replace("\\", "/")
    parts = [part for part in text.split("/") if part != "."]
    if text.startswith("/") or ".." in parts or "" in parts or ":" in parts[0]:
        return None
    return "/".join(parts)


def printable(name: str) -> str:
    """A name as it can be written down, even if its bytes on disk are no text."""
    return name.encode("utf-8", "backslashreplace").decode()


def listing(folder: Path) -> str:
    """What lies in a folder, in a few words."""
    with os.scandir(folder) as entries:
        names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more if names else "nothing"
