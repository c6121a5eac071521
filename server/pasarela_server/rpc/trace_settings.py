"""Trace settings as they stand on the wire: lists of texts by name. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pasarela_server.config.tracing import OPENTELEMETRY, TRITON
from pasarela_server.errors import InvalidRequest, Unsupported
from pasarela_server.observability.tracing import TraceSettings

TRACE_FILE_FLAG = "--trace-file"
TRACE_CONFIG_FLAG = "--trace-config"

_LEAST = {"trace_rate": 1, "trace_count": -1, "log_frequency": 0}
_FIELDS = {"trace_level": "timestamps", "trace_rate": "rate", "trace_count": "count", "log_frequency": "log_frequency"}
_MOST = 2**31 - 1
_NUMBER = re.compile(r"-?[0-9]{1,10}")


def decode_trace_changes(
    written: Mapping[str, Sequence[str]], trace_file: str, mode: str = TRITON
) -> Mapping[str, int | bool | None]:
    """What a request changes, by field of `TraceSettings`; None takes a setting back.

    Args:
        written: By Triton's name; an empty list takes a setting back.
        trace_file: The name of the server's trace file; empty if it has none.
        mode: What becomes of traces.

    Raises:
        InvalidRequest: A setting is unknown, or a value is impossible.
        Unsupported: The server does not offer that, or clients must not set it.
    """
    changes: dict[str, int | bool | None] = {}
    can_trace = bool(trace_file) or mode == OPENTELEMETRY
    for name, values in written.items():
        if name == "trace_file":
            raise Unsupported(
                "trace setting 'trace_file': where the server writes is not for its clients to choose; "
                f"start it with {TRACE_FILE_FLAG} PATH"
            )
        if name == "trace_mode":
            _check_mode(values, mode)
            continue
        if name not in _FIELDS:
            known = ", ".join((*_FIELDS, "trace_file", "trace_mode"))
            raise InvalidRequest(f"trace setting '{name[:100]}' is unknown; expected one of {known}")
        read = _level(values, can_trace=can_trace) if name == "trace_level" else _number(name, values, mode)
        changes[_FIELDS[name]] = read if values else None
    return changes


def encode_trace_settings(settings: TraceSettings, trace_file: str, mode: str = TRITON) -> Mapping[str, Sequence[str]]:
    """The settings in force, by Triton's names. The file's folder is the server's own affair."""
    return {
        "trace_file": [trace_file],
        "trace_level": ["TIMESTAMPS" if settings.timestamps else "OFF"],
        "trace_rate": [str(settings.rate)],
        "trace_count": [str(settings.count)],
        "log_frequency": [str(settings.log_frequency)],
        "trace_mode": [mode],
    }


def _check_mode(values: Sequence[str], mode: str) -> None:
    if list(values) not in ([], [mode]):
        raise Unsupported(
            f"trace setting 'trace_mode': this server traces in the mode '{mode}', which only its start can change "
            f"({TRACE_CONFIG_FLAG} mode=MODE); got {_quoted(values)}"
        )


def _level(values: Sequence[str], *, can_trace: bool) -> bool:
    for value in values:
        if value == "TENSORS":
            raise Unsupported("trace setting 'trace_level': TENSORS is not offered, tensors are not written to files")
        if value not in {"OFF", "TIMESTAMPS"}:
            raise InvalidRequest(f"trace setting 'trace_level': expected OFF or TIMESTAMPS, got {_quoted(values)}")
    if "OFF" in values and len(values) > 1:
        raise InvalidRequest(f"trace setting 'trace_level': expected OFF alone, got {_quoted(values)}")
    timestamps = "TIMESTAMPS" in values
    if timestamps and not can_trace:
        raise Unsupported(
            "trace setting 'trace_level': TIMESTAMPS needs a file to write to, or a collector; "
            f"start the server with {TRACE_FILE_FLAG} PATH or {TRACE_CONFIG_FLAG} mode={OPENTELEMETRY}"
        )
    return timestamps


def _number(name: str, values: Sequence[str], mode: str) -> int:
    if not values:
        return 0
    least = 0 if name == "trace_rate" and mode == OPENTELEMETRY else _LEAST[name]
    if len(values) == 1 and _NUMBER.fullmatch(values[0]) and least <= int(values[0]) <= _MOST:
        return int(values[0])
    raise InvalidRequest(
        f"trace setting '{name}': expected a whole number from {least} to {_MOST}, got {_quoted(values)}"
    )


def _quoted(values: Sequence[str]) -> str:
    return ", ".join(f"'{value[:40]}'" for value in values[:4])
