"""What a person means by a path, a glob, a number or an address."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pasarela_client.errors import SourceUnreadable
from pasarela_client.sources.cameras import scheme_of, without_password
from pasarela_client.sources.order import natural_key
from pasarela_client.sources.suffixes import HEAD_BYTES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_video


@dataclass(frozen=True, slots=True)
class Stills:
    """Image files; whether they can be read shows when they are."""

    paths: tuple[Path, ...]
    root: Path | None = None
    """The folder that was named, or that a glob begins with; None of files that were named one by one."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file of moving pictures."""

    path: Path
    root: Path | None = None
    """As of `Stills`."""


@dataclass(frozen=True, slots=True)
class Webcam:
    """A camera of this machine."""

    device: str
    """Its number, or its path under /dev."""


@dataclass(frozen=True, slots=True)
class Address:
    """Something that another machine sends."""

    url: str


Named = Stills | VideoFile | Webcam | Address

_SCHEMES: Final = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "rtp", "srt"})
_WEBCAM: Final = re.compile(r"(?:webcam:)?(\d+)|webcam:(/.+)|(/dev/video\d+)")
_NUMBERED: Final = re.compile(r"%(?:0(\d+))?d")


def named_by(argument: str | Path | int, *, recursive: bool = False) -> list[Named]:
    """What one argument stands for.

    Args:
        argument: A file, a folder, a glob (`photos/**/*.png`), a numbered sequence (`frames/%06d.jpg`), a webcam (`0`,
            `webcam:0`, `/dev/video0`), or an address (`rtsp://`, `http://`, `file://`). A file of exactly that name
            comes before every other meaning.
        recursive: Whether a folder stands for those below it, too.

    Raises:
        SourceUnreadable: It stands for nothing, or nobody lets us look.
    """
    try:
        return _named_by(str(argument), recursive=recursive)
    except (OSError, ValueError) as error:  # a folder that must not be entered, a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise SourceUnreadable(f"cannot read {without_password(str(argument))}: {reason}") from error


def _named_by(text: str, *, recursive: bool) -> list[Named]:
    scheme = scheme_of(text)
    if scheme == "file":
        return _named_by(unquote(urlsplit(text).path), recursive=recursive)
    path = Path(text)
    if path.is_dir():
        return _in_folder(path, recursive=recursive)
    camera = _WEBCAM.fullmatch(text)
    if camera and not path.is_file():
        return [Webcam(next(filter(None, camera.groups())))]
    if scheme in _SCHEMES:
        return [Address(text)]
    if scheme and not path.exists():
        raise SourceUnreadable(f"{text}: there is no way to read {scheme}://, only {', '.join(sorted(_SCHEMES))}, file")
    if path.exists():
        return [named_file(path)]
    if _NUMBERED.search(path.name):
        return [Stills(_in_sequence(path), path.parent)]
    if glob.has_magic(text):
        return _in_glob(text)
    return [named_file(path)]


def named_file(path: Path) -> Stills | VideoFile:
    """What a file is by its name, or if that does not say, by its first bytes."""
    return VideoFile(path) if is_video(path.suffix, _head(path)) else Stills((path,))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except (OSError, ValueError):
        return b""  # who reads all of it will say what is wrong


def _in_folder(folder: Path, *, recursive: bool) -> list[Named]:
    known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    try:
        found = [path for path in _files_in(folder, recursive=recursive) if path.suffix.lower() in known]
    except OSError as error:
        raise SourceUnreadable(f"cannot read the folder {error.filename}: {error.strerror}") from error
    if not found:
        deeper = "" if recursive else "; folders below it are taken with --recursive"
        raise SourceUnreadable(
            f"no images ({', '.join(sorted(IMAGE_SUFFIXES))}) and no videos in the folder {folder}{deeper}"
        )
    return _grouped(sorted(found, key=natural_key), folder)


def _files_in(folder: Path, *, recursive: bool) -> Iterator[Path]:
    if not recursive:
        yield from (entry for entry in folder.iterdir() if entry.is_file())
        return
    for parent, _, names in os.walk(folder, onerror=_raise):
        yield from (Path(parent, name) for name in names)


def _raise(error: OSError) -> None:
    raise error


def _in_glob(pattern: str) -> list[Named]:
    matches = map(Path, glob.iglob(pattern, recursive=True))  # noqa: PTH207 - pathlib takes no absolute globs
    found = sorted({match for match in matches if match.is_file()}, key=natural_key)
    if not found:
        raise SourceUnreadable(f"nothing matches {pattern}")
    fixed = Path(pattern).parent.parts
    magic = next((index for index, part in enumerate(fixed) if glob.has_magic(part)), len(fixed))
    return _grouped(found, Path(*fixed[:magic]))


def _in_sequence(pattern: Path) -> tuple[Path, ...]:
    """The files of a numbered sequence that are there, by number; numbers may be missing."""
    pieces = _NUMBERED.split(pattern.name, maxsplit=1)
    digits = rf"\d{{{pieces[1]},}}" if pieces[1] else r"\d+"
    wanted = re.compile(f"{re.escape(pieces[0])}({digits}){re.escape(pieces[2])}")
    try:
        matches = [(match, path) for path in pattern.parent.iterdir() if (match := wanted.fullmatch(path.name))]
    except OSError as error:
        raise SourceUnreadable(f"cannot read the folder {pattern.parent}: {error.strerror}") from error
    if not matches:
        raise SourceUnreadable(f"no file is numbered as {pattern} says")
    return tuple(path for _, path in sorted(matches, key=lambda found: int(found[0][1])))


def _grouped(paths: Iterable[Path], root: Path) -> list[Named]:
    """Neighbours that are stills together, videos one by one."""
    grouped: list[Named] = []
    for moving, members in groupby(paths, key=lambda path: path.suffix.lower() in VIDEO_SUFFIXES):
        run = tuple(members)
        grouped += [VideoFile(path, root) for path in run] if moving else [Stills(run, root)]
    return grouped
