"""Where the time went on the server, out of its answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from pasarela_client.timings import NOT_TOLD, Timings
from pasarela_proto import detection_pb2

_TYPED: Final = frozenset(entry.name for entry in detection_pb2.Timings.DESCRIPTOR.fields)
_FIELDS: Final = tuple(entry.name for entry in fields(Timings) if entry.name in _TYPED)


def typed_timings(told: detection_pb2.Timings) -> Timings:
    """Those of an answer to `Detect` or `StreamDetect`."""
    values = {name: getattr(told, name) for name in _FIELDS}
    if not told.close_reason:
        values["instance"] = -1
    return Timings(**values)


def parameter_timings(parameters: Mapping[str, Any]) -> Timings:
    """Those of an answer to `ModelInfer`, which a request has to ask for; none where the server does not tell."""
    values: dict[str, Any] = {}
    for name in _FIELDS:
        if name in parameters:
            value = parameters[name]
            values[name] = value.string_param if name == "close_reason" else value.int64_param
    return Timings(**values) if values else NOT_TOLD
