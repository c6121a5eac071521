"""What a version's folder holds, by name."""

from __future__ import annotations

from pathlib import Path


def list_files(folder: Path) -> frozenset[str]:
    """Files in a folder and in its sub-folders, one level deep: paths relative to it, with `/`.

    Deeper folders count as files: some exports are told by such a folder alone.
    """
    found: set[str] = set()
    for entry in folder.iterdir():
        if entry.is_dir():
            found.update(f"{entry.name}/{inner.name}" for inner in entry.iterdir())
        else:
            found.add(entry.name)
    return frozenset(found)
