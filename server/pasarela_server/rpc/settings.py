"""The RPCs that read and change settings of a running server: tracing and the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pasarela_proto import inference_pb2 as pb
from pasarela_server.config.tracing import OPENTELEMETRY, TRITON
from pasarela_server.errors import InvalidRequest, Unsupported
from pasarela_server.observability.logging import LogControl, LogFormat, LogSettings
from pasarela_server.observability.tracing import Tracer
from pasarela_server.rpc.models import Models
from pasarela_server.rpc.trace_settings import decode_trace_changes, encode_trace_settings

_LOG_FIELDS = {
    "log_info": "info",
    "log_warning": "warning",
    "log_error": "error",
    "log_verbose_level": "verbose_level",
    "log_format": "format",
}
"""Triton's name of each setting that may be changed, and ours."""

_KINDS = {"log_verbose_level": ("uint32_param", "a uint32"), "log_format": ("string_param", "a string")}


class SettingsCalls:
    """Trace and log settings. What a request names is changed whole or, if anything in it is wrong, not at all."""

    def __init__(self, models: Models, log: LogControl, tracer: Tracer) -> None:
        self._models = models
        self._log = log
        self._tracer = tracer

    def trace(self, request: pb.TraceSettingRequest) -> pb.TraceSettingResponse:
        """Changes what the request names, for one model or for all; answers with what holds now.

        Raises:
            InvalidRequest: A setting or the model is unknown, or a value is impossible.
            Unsupported: The server does not offer that, or clients must not set it.
        """
        model = request.model_name
        if model and not any(entry.name == model for entry in self._models.index()):
            raise InvalidRequest(f"trace settings: there is no model '{model[:200]}'")
        written = {name: tuple(value.value) for name, value in request.settings.items()}
        mode = OPENTELEMETRY if self._tracer.sends else TRITON
        changes = decode_trace_changes(written, self._tracer.filename, mode)
        if changes:
            self._tracer.change(model, changes)
        response = pb.TraceSettingResponse()
        settings = self._tracer.settings(model)
        for name, values in encode_trace_settings(settings, self._tracer.filename, mode).items():
            response.settings[name].value.extend(values)
        return response

    def log(self, request: pb.LogSettingsRequest) -> pb.LogSettingsResponse:
        """Changes what the request names; answers with what holds now.

        Raises:
            InvalidRequest: A setting is unknown, or its value has another type or is impossible.
            Unsupported: A client must not set it.
        """
        if request.settings:
            self._log.change(_decode_log(request.settings, self._log.settings))
        return _encode_log(self._log.settings)


def _decode_log(written: Mapping[str, pb.LogSettingsRequest.SettingValue], settings: LogSettings) -> LogSettings:
    changed = {name: getattr(settings, name) for name in _LOG_FIELDS.values()}
    for name, value in written.items():
        field = _log_field(name)
        changed[field] = _log_value(name, value)
    return LogSettings(**changed)


def _log_field(name: str) -> str:
    if name == "log_file":
        raise Unsupported("log setting 'log_file': where the server writes is not for its clients to choose")
    if name not in _LOG_FIELDS:
        raise InvalidRequest(
            f"log setting '{name[:100]}' is unknown; expected one of {', '.join(('log_file', *_LOG_FIELDS))}"
        )
    return _LOG_FIELDS[name]


def _log_value(name: str, value: pb.LogSettingsRequest.SettingValue) -> Any:
    expected, words = _KINDS.get(name, ("bool_param", "a bool"))
    kind = value.WhichOneof("parameter_choice")
    if kind != expected:
        raise InvalidRequest(f"log setting '{name}': expected {words}, got {kind or 'no value'}")
    if name != "log_format":
        return getattr(value, expected)
    try:
        return LogFormat(value.string_param)
    except ValueError:
        known = ", ".join(f"'{each.value}'" for each in LogFormat)
        raise InvalidRequest(
            f"log setting 'log_format': expected one of {known}, got '{value.string_param[:40]}'"
        ) from None


def _encode_log(settings: LogSettings) -> pb.LogSettingsResponse:
    response = pb.LogSettingsResponse()
    response.settings["log_file"].string_param = ""
    response.settings["log_info"].bool_param = settings.info
    response.settings["log_warning"].bool_param = settings.warning
    response.settings["log_error"].bool_param = settings.error
    response.settings["log_verbose_level"].uint32_param = settings.verbose_level
    response.settings["log_format"].string_param = settings.format.value
    return response
