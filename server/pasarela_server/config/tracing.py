"""Tracing as tritonserver's users write it (`--trace-config mode=opentelemetry`), and as OpenTelemetry's do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

TRITON, OPENTELEMETRY = "triton", "opentelemetry"
MODES = (TRITON, OPENTELEMETRY)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPECTED = "expected <setting>=<value> or <mode>,<setting>=<value>"
_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TraceConfig:
    """What was said; None and empty for what was not."""

    mode: str = ""
    timestamps: bool | None = None
    rate: int | None = None
    count: int | None = None
    log_frequency: int | None = None
    file: Path | None = None
    url: str = ""
    """Of the collector: http://host:port, or https for TLS."""
    resource: tuple[tuple[str, str], ...] = ()
    """Attributes of the server in its traces."""


@dataclass(frozen=True, slots=True)
class TracePlan:
    """What a process does about traces."""

    file: Path | None = None
    """Where TraceSetting may have traces written."""
    export: bool = False
    """Whether they go to a collector."""
    required: bool = False
    """Whether the server must not start without the packages that this takes."""
    url: str = ""
    """Of the collector; empty leaves it to the standard variables."""
    resource: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, int | bool] = field(default_factory=dict)
    """What holds until TraceSetting changes it: fields of `observability.tracing.TraceSettings`."""


def trace_config(text: str) -> TraceConfig:
    """Reads one or several settings, with commas between.

    Raises:
        ValueError: One is unknown, or its value is impossible.
    """
    config, mode = TraceConfig(), ""
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals:
            if mode or name not in MODES:
                raise ValueError(f"{_EXPECTED}, with a mode of {' and '.join(MODES)}")
            mode = name
            continue
        config = _set(config, mode, name, value)
        mode = ""
    if mode:
        raise ValueError(_EXPECTED)
    return config


def plan_tracing(trace_file: Path | None, said: TraceConfig | None, environment: Mapping[str, str]) -> TracePlan:
    """What to do about traces.

    A collector is told of them if the mode is `opentelemetry`; or if a standard variable of OpenTelemetry names one,
    and neither the mode nor another variable says otherwise.

    Args:
        trace_file: Of --trace-file.
        said: Of --trace-config.
        environment: Usually `os.environ`.
    """
    said = said or TraceConfig()
    named = any(environment.get(name) for name in _ENDPOINTS)
    refused = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    asked = said.mode == OPENTELEMETRY
    export = asked or (named and not refused and said.mode != TRITON)
    settings: dict[str, int | bool] = {}
    if export:
        settings = {"timestamps": True} if asked else {"timestamps": True, "rate": 1}
    for name in ("timestamps", "rate", "count", "log_frequency"):
        value = getattr(said, name)
        if value is not None:
            settings[name] = value
    return TracePlan(trace_file or said.file, export, asked, said.url, dict(said.resource), settings)


def _set(config: TraceConfig, mode: str, name: str, value: str) -> TraceConfig:
    reader = _SETTINGS.get((mode, name))
    if reader is None:
        known = ", ".join(",".join(filter(None, key)) for key in _SETTINGS)
        raise ValueError(f"setting {','.join(filter(None, (mode, name)))!r} is unknown; known: {known}")
    try:
        return reader(config, value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _mode(config: TraceConfig, value: str) -> TraceConfig:
    if value not in MODES:
        raise ValueError(f"expected one of {', '.join(MODES)}")
    return replace(config, mode=value)


def _level(config: TraceConfig, value: str) -> TraceConfig:
    if value not in ("OFF", "TIMESTAMPS"):
        raise ValueError("expected OFF or TIMESTAMPS; tensors are not traced")
    return replace(config, timestamps=value == "TIMESTAMPS")


def _number(name: str, least: int) -> Callable[[TraceConfig, str], TraceConfig]:
    def read(config: TraceConfig, value: str) -> TraceConfig:
        number = int(value) if value.removeprefix("-").isdecimal() else least - 1
        if not least <= number <= _MOST:
            raise ValueError(f"expected a whole number from {least} to {_MOST}")
        changed: Any = {name: number}
        return replace(config, **changed)

    return read


def _file(config: TraceConfig, value: str) -> TraceConfig:
    if not value:
        raise ValueError("expected a path")
    return replace(config, file=Path(value).expanduser())


def _url(config: TraceConfig, value: str) -> TraceConfig:
    url = value if "://" in value else f"http://{value}"
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    if scheme not in ("http", "https") or not host:
        raise ValueError("expected http://host:port of a collector, or https for TLS")
    if path:
        raise ValueError(
            f"traces are sent by OTLP over gRPC, which has no path: expected {scheme}://host:port, usually port 4317"
        )
    return replace(config, url=url)


def _resource(config: TraceConfig, value: str) -> TraceConfig:
    key, equals, said = value.partition("=")
    if not equals or not key:
        raise ValueError("expected <attribute>=<value>, like service.name=garments")
    return replace(config, resource=(*config.resource, (key, said)))


_SETTINGS: Mapping[tuple[str, str], Callable[[TraceConfig, str], TraceConfig]] = {
    ("", "mode"): _mode,
    ("", "level"): _level,
    ("", "rate"): _number("rate", 0),
    ("", "count"): _number("count", -1),
    (TRITON, "file"): _file,
    (TRITON, "log-frequency"): _number("log_frequency", 0),
    (OPENTELEMETRY, "url"): _url,
    (OPENTELEMETRY, "resource"): _resource,
}
