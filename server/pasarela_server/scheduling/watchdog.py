"""Looks now and then whether an instance has been busy for longer than an inference may take."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger("pasarela_server.scheduling")

_MOST_S = 5.0
_LEAST_S = 0.02


class Watchdog:
    """Calls `look` from a thread of its own, several times in the time that an inference may take."""

    def __init__(self, name: str, limit_s: float, look: Callable[[], None]) -> None:
        """Builds the watchdog.

        Args:
            name: The model's, for the thread and messages.
            limit_s: How long an inference may take.
            look: Takes a look, and does what is to be done.
        """
        self._name = name
        self._every_s = min(_MOST_S, max(_LEAST_S, limit_s / 5))
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watchdog-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - the next look may succeed
                _log.exception("the watchdog of model '%s' failed", self._name)
