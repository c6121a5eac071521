"""Looks at a server again and again, beside the thread that shows what came of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from pasarela_client.errors import RequestCancelled
from pasarela_client.top.reading import Lost, Reading
from pasarela_client.top.watch import View, Watch

Look = Callable[[], Reading | Lost]


class Looking:
    """A daemon thread that looks every so often, and puts a view of it into a queue."""

    def __init__(self, look: Look, watch: Watch, every_s: float, first: Reading | Lost) -> None:
        """Starts it.

        Args:
            look: Looks once; called by the thread.
            watch: Makes views of looks; belongs to the thread from now on.
            every_s: From the beginning of a look to that of the next.
            first: A look that was taken just now.
        """
        self.views: queue.SimpleQueue[View | BaseException] = queue.SimpleQueue()
        """What was seen. An exception is the last."""
        self.views.put(watch.see(first))
        self._look = look
        self._watch = watch
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pasarela-top", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it at the next look; close what it asks to end that one, too."""
        self._over.set()

    def _run(self) -> None:
        begun_s = time.monotonic()
        while not self._over.wait(self._every_s - (time.monotonic() - begun_s) % self._every_s):
            try:
                self.views.put(self._watch.see(self._look()))
            except RequestCancelled:
                return  # who closed the connection knows
            except BaseException as error:  # noqa: BLE001 - raised again by who shows the views
                self.views.put(error)
                return
