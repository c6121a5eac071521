"""What is piped into this process, read front to back."""

from __future__ import annotations

import re
import select
from typing import BinaryIO, Final

_CHUNK_BYTES: Final = 1 << 16
_LOOK_S: Final = 0.2
"""How often a reader that waits looks whether the pipe was closed."""


class Pipe:
    """Bytes that can be looked at before they are taken. One thread reads; any may close.

    FFmpeg reads from it as from a file that cannot be rewound.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Takes the file over; nothing must have been read from it.

        Args:
            file: Unbuffered reads (`read1`, else `read`) are made from it.
        """
        self._file = file
        self._ahead = bytearray()
        self._ended = False
        self._closed = False

    def close(self) -> None:
        """From now on there is nothing more to read; a reader that waits is told so within a moment."""
        self._closed = True

    def peek(self, count: int) -> bytes:
        """The next bytes, without taking them: so many if they come, fewer at the end, or if a line ends before."""
        while len(self._ahead) < count and b"\n" not in self._ahead and self._more():
            pass
        return bytes(self._ahead[:count])

    def read(self, count: int = _CHUNK_BYTES) -> bytes:
        """Between one byte and so many; none at the end."""
        if not self._ahead and count:
            self._more()
        return self._take(min(count, len(self._ahead)))

    def exactly(self, count: int) -> bytes:
        """So many bytes; fewer at the end."""
        while len(self._ahead) < count and self._more():
            pass
        return self._take(min(count, len(self._ahead)))

    def before(self, pattern: re.Pattern[bytes], longest: int) -> bytes:
        """All bytes before the pattern, which spans few bytes; at the end, all that are left.

        Raises:
            ValueError: The pattern does not come within `longest` bytes.
        """
        begin = 0
        while True:
            if match := pattern.search(self._ahead, begin):
                return self._take(match.start())
            if len(self._ahead) > longest:
                raise ValueError(f"no end within {longest} bytes")
            begin = max(0, len(self._ahead) - 3)
            if not self._more():
                return self._take(len(self._ahead))

    def line(self) -> bytes | None:
        """The next line without its end; None when there is none."""
        while (end := self._ahead.find(b"\n")) < 0 and self._more():
            pass
        if end < 0:
            return self._take(len(self._ahead)) or None
        return self._take(end + 1)[:-1].removesuffix(b"\r")

    def _take(self, count: int) -> bytes:
        taken = bytes(self._ahead[:count])
        del self._ahead[:count]
        return taken

    def _more(self) -> bool:
        if self._ended or not self._await():
            return False
        read = getattr(self._file, "read1", self._file.read)
        chunk: bytes = read(_CHUNK_BYTES)
        self._ended = not chunk
        self._ahead += chunk
        return not self._ended

    def _await(self) -> bool:
        """Waits for bytes, or the end; False if the pipe was closed."""
        try:
            number = self._file.fileno()
        except OSError:
            return not self._closed  # no pipe of the system's, so reading it does not wait
        while not self._closed:
            if select.select([number], [], [], _LOOK_S)[0]:
                return True
        return False
