"""How the server's log looks and what is in it: one readable line an event, on stderr. Changeable while it runs."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class LogFormat(Enum):
    """How a line begins; the value is Triton's name."""

    DEFAULT = "default"
    """Date and time of the machine's own zone."""
    ISO8601 = "ISO8601"
    """The same in UTC, as the standard writes it."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written."""

    info: bool = True
    warning: bool = True
    error: bool = True
    verbose_level: int = 0
    """0: what whoever runs the server wants to know; 1 and above: every request too."""
    format: LogFormat = LogFormat.DEFAULT


class ServerLogHandler(logging.StreamHandler):  # type: ignore[type-arg]  # the base class is generic in stubs only
    """Writes to stderr what the settings let through. Thread-safe."""

    def __init__(self, settings: LogSettings) -> None:
        super().__init__(sys.stderr)
        self.apply(settings)

    def apply(self, settings: LogSettings) -> None:
        """Replaces the settings; records that come later follow them."""
        self._settings = settings
        formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")
        if settings.format is LogFormat.ISO8601:
            formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
            formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        settings = self._settings
        if record.levelno >= logging.ERROR:
            return settings.error
        if record.levelno >= logging.WARNING:
            return settings.warning
        return settings.info if record.levelno >= logging.INFO else settings.verbose_level > 0


def configure_logging(verbosity: int = 0) -> None:
    """Sends the log of the whole process to stderr; called once, by the process's entry point.

    Args:
        verbosity: 0 shows what a person who runs the server wants to know, 1 and above everything.
    """
    settings = LogSettings(verbose_level=verbosity)
    root = logging.getLogger()
    root.handlers[:] = [ServerLogHandler(settings)]
    root.setLevel(logging.WARNING)
    _apply(settings)


def _apply(settings: LogSettings) -> None:
    logging.getLogger("pasarela_server").setLevel(logging.DEBUG if settings.verbose_level else logging.INFO)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, ServerLogHandler):
            handler.apply(settings)


class LogControl:
    """Changes the log of the process that `configure_logging` set up. Used from one thread."""

    def __init__(self, verbosity: int = 0, apply: Callable[[LogSettings], None] = _apply) -> None:
        """Builds the control; it changes nothing by itself.

        Args:
            verbosity: What `configure_logging` was told.
            apply: Puts settings into force.
        """
        self._settings = LogSettings(verbose_level=verbosity)
        self._apply = apply

    @property
    def settings(self) -> LogSettings:
        """What holds now."""
        return self._settings

    def change(self, settings: LogSettings) -> None:
        """Replaces what holds."""
        self._settings = settings
        self._apply(settings)
