"""A terminal that a program runs in, as its user sees it: a real pseudo-terminal, and what stands on its screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pyte

PATIENCE_S = 60.0
_WRAPPER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes the terminal that of the new session, so that Ctrl-C and a change of its size are signals to the program."""


class _Screen(pyte.Screen):
    """With what terminals of today do beyond those that pyte knows."""

    last = " "

    def draw(self, data: str) -> None:
        self.last = data[-1]
        super().draw(data)

    def repeat(self, count: int = 1) -> None:
        self.draw(self.last * (count or 1))

    def scroll_up(self, count: int = 1) -> None:
        self._at(self._bottom(), self.index, count)

    def scroll_down(self, count: int = 1) -> None:
        self._at(self.margins.top if self.margins else 0, self.reverse_index, count)

    def _bottom(self) -> int:
        return self.margins.bottom if self.margins else self.lines - 1

    def _at(self, line: int, scroll: Callable[[], None], count: int) -> None:
        before, self.cursor.y = self.cursor.y, line
        for _ in range(count or 1):
            scroll()
        self.cursor.y = before


_MORE = {"S": "scroll_up", "T": "scroll_down", "b": "repeat"}


class _Stream(pyte.ByteStream):
    csi: ClassVar = {**pyte.ByteStream.csi, **_MORE}
    events: ClassVar = pyte.ByteStream.events | frozenset(_MORE.values())


class Terminal:
    """The user's side of it."""

    def __init__(self, master: int, process: subprocess.Popen[bytes], lines: int, columns: int) -> None:
        self.process = process
        self.written = b""
        """All that the program wrote."""
        self._master = master
        self._screen = _Screen(columns, lines)
        self._stream = _Stream(self._screen)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen."""
        return [line.rstrip() for line in self._screen.display]

    def until(self, *texts: str) -> list[str]:
        """Waits until all of these stand on the screen at once; the screen."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not all(any(text in line for line in self.lines) for text in texts):
            assert time.monotonic() < give_up_s, f"waited for {texts} in vain; the screen:\n" + "\n".join(self.lines)
            assert self._read(), f"it ended before {texts}; the screen:\n" + "\n".join(self.lines)
        return self.lines

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._master, keys.encode())

    def resize(self, lines: int, columns: int) -> None:
        """Gives the terminal another size."""
        self._screen.resize(lines, columns)
        self._screen.reset()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def settings(self) -> list[Any]:
        """Echo, line editing and the like, as the program left them."""
        return termios.tcgetattr(self._master)

    def end(self) -> int:
        """Reads what is still written and waits for the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        """Takes in what was written; False when there will be no more."""
        ready, _, _ = select.select([self._master], [], [], 0.1)
        if ready:
            with contextlib.suppress(OSError):  # the program has gone, and the terminal with it
                content = os.read(self._master, 1 << 16)
                self.written += content
                self._stream.feed(content)
                return bool(content)
            return False
        return self.process.poll() is None


@contextlib.contextmanager
def terminal(
    command: Sequence[str], *, lines: int = 30, columns: int = 160, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Runs a program in a terminal of that size; it is killed if it has not ended by itself."""
    # With these set a program believes them, and not the terminal that was resized.
    inherited = {name: text for name, text in os.environ.items() if name not in {"LINES", "COLUMNS"}}
    master, slave = os.openpty()
    try:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        with subprocess.Popen(
            [sys.executable, "-c", _WRAPPER, *command],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", **(environment or {})},
        ) as process:  # fmt: skip
            try:
                yield Terminal(master, process, lines, columns)
            finally:
                process.kill()
    finally:
        os.close(slave)
        os.close(master)
