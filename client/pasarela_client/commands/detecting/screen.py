"""What a person or a pipe gets to see while a run goes on."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self


class Screen:
    """Prints results to stdout and everything else to stderr, with a bar there if a person watches.

    Used in a `with` block; by one thread, except for `say`.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._keep_clear: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_progress()

    @property
    def shows_progress(self) -> bool:
        """Whether anybody would see a bar."""
        return not self._quiet and sys.stderr.isatty()

    def begin_progress(self, total: int | None, unit: str) -> None:
        """Shows a bar, if somebody watches and tqdm is there.

        Args:
            total: How many will come; None if nobody knows.
            unit: What is counted.
        """
        if not self.shows_progress:
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, unit=f" {unit}", file=sys.stderr, dynamic_ncols=True, leave=False)
        self._keep_clear = tqdm.external_write_mode

    def advance(self, note: str = "") -> None:
        """One more came; the note stands beside the bar."""
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()

    def end_progress(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def result(self, text: str) -> None:
        """Prints a result, at once, so that whoever reads the pipe has it."""
        with self._room():
            print(text, flush=True)

    def say(self, message: str) -> None:
        """Tells a person something beside the results, by whatever thread."""
        with self._room():
            print(f"pasarela: {message}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Prints lines beside the results that speak for themselves."""
        with self._room():
            print(text, file=sys.stderr, flush=True)

    def _room(self) -> AbstractContextManager[object]:
        return self._keep_clear() if self._bar is not None else nullcontext()
