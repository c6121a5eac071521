"""What the processes of models log: said once, for those that run and those that will."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ProcessLog:
    """Holds the settings and whom to tell of new ones. All methods may be called from any thread."""

    def __init__(self, text: str = "") -> None:
        """Begins with settings.

        Args:
            text: As `observability.logging.LogSettings.to_text` writes them; empty for the defaults.
        """
        self._text = text
        self._lock = threading.Lock()
        self._followers: list[Callable[[str], None]] = []

    @property
    def text(self) -> str:
        """The settings that hold now; see `__init__`."""
        return self._text

    def change(self, text: str) -> None:
        """Replaces the settings, and tells all who follow."""
        with self._lock:
            self._text = text
            followers = list(self._followers)
        for told in followers:
            told(text)

    def follow(self, told: Callable[[str], None]) -> None:
        """Has a call made with each change's settings, on the thread that makes the change; it must not block."""
        with self._lock:
            self._followers.append(told)

    def forget(self, told: Callable[[str], None]) -> None:
        """Ends what `follow` began; a change that is under way may still be told."""
        with self._lock:
            self._followers.remove(told)
