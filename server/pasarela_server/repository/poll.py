"""Looks at files every now and then, on a thread of its own: at the repository, at certificates."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger("pasarela_server.repository")


class Poller:
    """Calls a look again and again until it is stopped."""

    def __init__(self, look: Callable[[], float | None], every_s: float, subject: str = "the repository") -> None:
        """Builds the poller.

        Args:
            look: Looks once, and may take long; returns in how many seconds the next look is worth it, or None.
            every_s: The longest time between two looks.
            subject: What it looks at, for the log.
        """
        self._look = look
        self._every_s = every_s
        self._subject = subject
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poll", daemon=True)

    def start(self) -> None:
        """Begins; the first look is taken at once, for what was still being written at the start."""
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Ends it, and waits for a look that is under way; False if that takes longer than allowed."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            due_s: float | None = None
            try:
                due_s = self._look()
            except Exception:  # noqa: BLE001 - whatever went wrong, the next look may go right
                _LOG.exception("a look at %s failed; everything goes on as it is", self._subject)
            pause_s = self._every_s if due_s is None else min(self._every_s, due_s)
