"""Files that secure the server: read whole, named in what is said of them, never shown."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

_log = logging.getLogger("pasarela_server.security")

_MOST_BYTES = 4 * 2**20


class UnusableFile(Exception):
    """A file that secures the server cannot be used; the message names the setting and the file, and says why."""

    def __init__(self, flag: str, path: Path, why: str) -> None:
        super().__init__(f"{flag} {path}: {why}")


def read_file(flag: str, path: Path) -> bytes:
    """The content of a file.

    Args:
        flag: The setting that names it.
        path: Where it is.

    Raises:
        UnusableFile: It is not there, cannot be read, is empty or far too large.
    """
    try:
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # opening a folder says itself what is wrong
            raise UnusableFile(flag, path, "it is no file that can be read again and again")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UnusableFile(flag, path, error.strerror or str(error)) from error
    if not content.strip():
        raise UnusableFile(flag, path, "it is empty")
    if len(content) > _MOST_BYTES:
        raise UnusableFile(flag, path, f"it is larger than {_MOST_BYTES // 2**20} MiB")
    return content


def warn_if_open(flag: str, path: Path) -> None:
    """Logs a warning if every user of this machine may read a file that is to be secret."""
    if path.stat().st_mode & stat.S_IROTH:
        _log.warning("%s %s may be read by every user of this machine; chmod 600 it", flag, path)
