"""What was read from files, and is read again when they change: never half of it, and never less than before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from pasarela_server.security.files import UnusableFile

_log = logging.getLogger("pasarela_server.security")

_Content = TypeVar("_Content")
_Fingerprint = tuple[tuple[int, int, int, int] | None, ...]


class Watched(Generic[_Content]):
    """Content of a few files that belong together.

    `current` may be read from any thread; `look` is called again and again, from one.
    """

    def __init__(
        self, subject: str, paths: Sequence[Path], load: Callable[[], _Content], *, level: int = logging.INFO
    ) -> None:
        """Reads the files.

        Args:
            subject: What they are, for the log.
            paths: The files.
            load: Reads and checks all of them.
            level: Of the line that tells of new content; that some was refused is told as an error, unless this is
                below INFO.

        Raises:
            UnusableFile: As `load`.
        """
        self._subject = subject
        self._paths = tuple(paths)
        self._load = load
        self._level = level
        self._seen = self._taken = self._fingerprint()
        self._refused = ""
        self.current = load()
        """What was read last and found good."""

    def look(self) -> None:
        """Takes new content if the files have changed, are the same as at the look before, and are good.

        Else everything stays as it is; what is wrong is logged once.
        """
        before, self._seen = self._seen, self._fingerprint()
        if self._seen == self._taken or self._seen != before:
            return
        try:
            self.current = self._load()
        except UnusableFile as error:
            if str(error) != self._refused:
                self._refused = str(error)
                level = logging.ERROR if self._level >= logging.INFO else self._level
                _log.log(level, "%s have changed, and those from before stay in force: %s", self._subject, error)
            return
        self._taken, self._refused = self._seen, ""
        _log.log(self._level, "%s have changed and are in force for what comes from now on", self._subject)

    def _fingerprint(self) -> _Fingerprint:
        return tuple(map(_look_at, self._paths))


def _look_at(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
