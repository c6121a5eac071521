"""Says on a terminal for how long something has been going on."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO


class Patience:
    """A line on stderr that counts seconds while its block runs, and is gone afterwards; nothing where no one looks."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        """Prepares it.

        Args:
            what: What takes its time, for people.
            stream: Where to say it; None for stderr.
        """
        self._what = what
        self._stream = stream or sys.stderr
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._thread = threading.Thread(target=self._count, name="pasarela-patience", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _count(self) -> None:
        begun_s = time.monotonic()
        while True:
            self._stream.write(f"\r\x1b[K{self._what} … {time.monotonic() - begun_s:.0f} s")
            self._stream.flush()
            if self._over.wait(0.5):
                return
