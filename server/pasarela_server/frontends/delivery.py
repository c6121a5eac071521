"""One thread that copies outputs to where fronts read them, so that no instance and no event loop waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

_log = logging.getLogger("pasarela_server.frontends")

_T = TypeVar("_T")


class Deliveries:
    """Calls what it is given, one after the other, on a thread of its own that ends with the process."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Callable[..., None], object]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, call: Callable[[_T], None], argument: _T) -> None:
        """Has a call made soon; from any thread."""
        self._waiting.put((call, argument))

    def _run(self) -> None:
        while True:
            call, argument = self._waiting.get()
            try:
                call(argument)
            except Exception:  # noqa: BLE001 - the next one does not suffer from it
                _log.exception("an answer could not be delivered to a front")
            del call, argument  # nothing is held while the next one is waited for
