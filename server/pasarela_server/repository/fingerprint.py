"""Has what lies in a folder changed? Cheaply by what the file system says of it, surely by its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileMark:
    """What the file system says of one file. Equal marks: nobody has written to it in between."""

    name: str
    """Relative to the folder that was looked at, with forward slashes."""
    size: int
    modified_ns: int
    changed_ns: int
    """Of the inode: unlike `modified_ns` it cannot be set back by whoever copies the file."""
    inode: int


Marks = tuple[FileMark, ...]


def mark_files(folder: Path, names: Iterable[str] | None = None) -> Marks:
    """Marks of the files below a folder, hidden ones left out; of the named ones only, if names are given.

    A file that vanishes while it is looked at is left out: the next look will differ.
    """
    files = _below(folder) if names is None else [folder / name for name in sorted(names)]
    marks = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        name = file.relative_to(folder).as_posix()
        marks.append(FileMark(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    return tuple(marks)


def newest_s(marks: Marks) -> float:
    """When the last of the files was written or put there, in seconds since the epoch; 0 for none."""
    return max((mark.changed_ns for mark in marks), default=0) / 1e9


class Digests:
    """SHA-256 of files, each computed once for as long as its mark stays the same. For one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[FileMark, str]] = {}
        self._asked = set[Path]()

    def of(self, folder: Path, marks: Marks) -> Mapping[str, str]:
        """By name, the digest of each marked file's content, in hexadecimal.

        Raises:
            OSError: A file cannot be read.
        """
        return {mark.name: self._digest(folder / mark.name, mark) for mark in marks}

    def forget_others(self) -> None:
        """Forgets all files that nobody has asked for since the last time: a repository changes for years."""
        self._known = {file: known for file, known in self._known.items() if file in self._asked}
        self._asked.clear()

    def _digest(self, file: Path, mark: FileMark) -> str:
        self._asked.add(file)
        known = self._known.get(file)
        if known is not None and known[0] == mark:
            return known[1]
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        self._known[file] = (mark, digest)
        return digest


def combine(*parts: str | Mapping[str, str]) -> str:
    """One digest of texts and of tables of digests."""
    whole = hashlib.sha256()
    for part in parts:
        lines = [part] if isinstance(part, str) else [f"{name}\0{digest}" for name, digest in sorted(part.items())]
        for line in (str(len(lines)), *lines):
            encoded = line.encode()
            whole.update(len(encoded).to_bytes(8, "little") + encoded)
    return whole.hexdigest()


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(directory, name) for name in sorted(files) if not name.startswith(".")]
    return found
