"""Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed, none of which tears a result in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

_USUAL: Final[dict[int, Any]] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _USUAL[signal.SIGHUP] = signal.SIG_DFL


class Interrupted(KeyboardInterrupt):
    """Somebody wants the run to end; `number` is the signal that said so."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell expects of who ended by that signal."""
        return 128 + self.number


class Interrupts:
    """While its block runs, these signals raise `Interrupted` in the main thread.

    One that comes within `held` is raised when that is over; a second one at once. Elsewhere than in the main thread,
    and where somebody else handles a signal, nothing changes.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._held = False
        self._pending: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, usual in _USUAL.items():
                if signal.getsignal(number) is usual:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What must be done wholly or not at all.

        Raises:
            Interrupted: At its end, if a signal came meanwhile.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending is not None:
            raise Interrupted(self._pending)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._held and self._pending is None:
            self._pending = number
        else:
            raise Interrupted(number)
