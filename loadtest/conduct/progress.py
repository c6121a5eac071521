"""Tells who watches how a run goes: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import Final, TextIO

from loadtest.scenario.values import format_duration

_EVERY_S: Final = 5.0


class Progress:
    """Writes to a stream, as a rule stdout."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Has told nothing yet."""
        self._stream = stream or sys.stdout
        self._changes = self._stream.isatty()
        self._shown = 0
        self._last_s = float("-inf")

    def show(self, now_s: float, step: str, left_s: float | None, figures: str) -> None:
        """How it goes now.

        Args:
            now_s: On the run's clock.
            step: The step's name.
            left_s: Of the whole run; None if that is not known.
            figures: What came back.
        """
        left = "" if left_s is None else f"  {format_duration(max(0, round(left_s))) or '0s'} left"
        line = f"  {step}{left}  {figures}"
        if self._changes:
            self._stream.write("\r" + line.ljust(self._shown))
            self._shown = len(line)
            self._stream.flush()
        elif now_s - self._last_s >= _EVERY_S:
            self._last_s = now_s
            print(line, file=self._stream, flush=True)

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._changes and self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._shown = 0
        print(f"  {line}", file=self._stream, flush=True)
