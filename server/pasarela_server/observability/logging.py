"""How the server's log looks and what is in it: one line an event, on stderr. Changeable while it runs."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Any, Final

from typing_extensions import override

_log = logging.getLogger("pasarela_server")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FIELDS: Final = "fields"
"""Attribute of a record that holds what `fields` was given."""


def fields(**values: Any) -> Mapping[str, Any]:
    """What a program wants to know of an event beside its message: `log.info("…", …, extra=fields(model="m"))`.

    Only JSON shows it. Values are texts, numbers, or tables of them; none may be a secret, an image or a path.
    """
    return {_FIELDS: values}


class LogFormat(Enum):
    """What a line looks like; the value is Triton's name, but for JSON, which Triton has not."""

    DEFAULT = "default"
    """Text that begins with date and time of the machine's own zone."""
    ISO8601 = "ISO8601"
    """The same in UTC, as the standard writes it."""
    JSON = "json"
    """An object with `time`, `level`, `logger`, `message`, and what else is known of the event."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written."""

    info: bool = True
    warning: bool = True
    error: bool = True
    verbose_level: int = 0
    """0: what whoever runs the server wants to know; 1 and above: every request too."""
    format: LogFormat = LogFormat.DEFAULT

    def to_text(self) -> str:
        """As they travel between processes."""
        return json.dumps(asdict(self) | {"format": self.format.value})

    @classmethod
    def from_text(cls, text: str) -> LogSettings:
        """As they have arrived."""
        said = json.loads(text)
        return cls(**said | {"format": LogFormat(said["format"])})


DEFAULT_SETTINGS = LogSettings()


def log_settings(verbose_level: int, name: str) -> LogSettings:
    """Settings as a command line says them.

    Args:
        verbose_level: See `LogSettings`.
        name: Of a `LogFormat`, in any case of letters; `text` is the default one.
    """
    formats = {each.value.lower(): each for each in LogFormat} | {"text": LogFormat.DEFAULT}
    return LogSettings(verbose_level=verbose_level, format=formats[name.lower()])


class _TextFormatter(logging.Formatter):
    """A readable line; what clients have written in it cannot begin another one."""

    def __init__(self, log_format: LogFormat) -> None:
        iso = log_format is LogFormat.ISO8601
        super().__init__(
            "%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ" if iso else "%Y-%m-%d %H:%M:%S"
        )
        if iso:
            self.converter = time.gmtime

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        if not record.message.isprintable():
            record.message = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), record.message)
        return super().formatMessage(record)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class ServerLogHandler(logging.StreamHandler):  # type: ignore[type-arg]  # the base class is generic in stubs only
    """Writes to stderr what the settings let through. Thread-safe."""

    def __init__(self, settings: LogSettings) -> None:
        super().__init__(sys.stderr)
        self.apply(settings)

    def apply(self, settings: LogSettings) -> None:
        """Replaces the settings; records that come later follow them."""
        self._settings = settings
        self.setFormatter(_JsonFormatter() if settings.format is LogFormat.JSON else _TextFormatter(settings.format))

    @property
    def is_json(self) -> bool:
        """Whether lines are objects now."""
        return self._settings.format is LogFormat.JSON

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        settings = self._settings
        if record.levelno >= logging.ERROR:
            return settings.error
        if record.levelno >= logging.WARNING:
            return settings.warning
        return settings.info if record.levelno >= logging.INFO else settings.verbose_level > 0


def configure_logging(settings: LogSettings = LogSettings()) -> None:
    """Sends the log of the whole process to stderr; called once, by the process's entry point."""
    root = logging.getLogger()
    root.handlers[:] = [ServerLogHandler(settings)]
    root.setLevel(logging.WARNING)
    apply_log_settings(settings)


def log_uncaught() -> None:
    """Has the log tell what Python would write to stderr in its own form; called once, by the process's entry point.

    That is an exception that nobody caught, on any thread, and warnings. gRPC's own core cannot be told to write
    objects: where lines are objects it is silent, unless GRPC_VERBOSITY says otherwise.
    """
    handlers = logging.getLogger().handlers
    if any(isinstance(each, ServerLogHandler) and each.is_json for each in handlers):
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.captureWarnings(True)
    threading.excepthook = _thread_ended
    sys.excepthook = _process_ended


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit):
        return
    name = "" if ended.thread is None else ended.thread.name
    _log.critical("thread '%s' ended unexpectedly", name, exc_info=ended.exc_value, extra=fields(thread=name))


def _process_ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _log.critical("the process ends unexpectedly", exc_info=error)


def apply_log_settings(settings: LogSettings) -> None:
    """Puts settings into force in a process whose log is configured."""
    logging.getLogger("pasarela_server").setLevel(logging.DEBUG if settings.verbose_level else logging.INFO)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, ServerLogHandler):
            handler.apply(settings)


class LogControl:
    """Changes the log of the processes of a server. Used from one thread."""

    def __init__(
        self,
        settings: LogSettings = LogSettings(),
        apply: Callable[[LogSettings], None] = apply_log_settings,
    ) -> None:
        """Builds the control; it changes nothing by itself.

        Args:
            settings: What `configure_logging` was told.
            apply: Puts settings into force.
        """
        self._settings = settings
        self._apply = apply

    @property
    def settings(self) -> LogSettings:
        """What holds now."""
        return self._settings

    def change(self, settings: LogSettings) -> None:
        """Replaces what holds."""
        self._settings = settings
        self._apply(settings)
