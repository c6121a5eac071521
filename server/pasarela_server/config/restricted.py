"""Restricted protocols as tritonserver's users write them: `<protocols>:<key>=<value>`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

PROTOCOLS = (
    "health",
    "metadata",
    "inference",
    "shared-memory",
    "model-config",
    "model-repository",
    "statistics",
    "trace",
    "logging",
)
"""Triton's names."""

_EXPECTED = "expected <protocol>,<protocol>:<key>=<value>"
_KEY = re.compile(r"[a-z0-9._-]+")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class RestrictedProtocols:
    """Calls that need a piece of metadata."""

    protocols: tuple[str, ...]
    key: str
    """The metadata is named after it: `triton-grpc-protocol-<key>`."""
    value: str = field(repr=False)


def restricted_protocols(text: str) -> tuple[RestrictedProtocols, ...]:
    """Reads one or several of them, with commas between.

    Raises:
        ValueError: That is none, or a protocol is unknown or named twice. The message does not show the value.
    """
    found: list[RestrictedProtocols] = []
    names: list[str] = []
    for part in text.split(","):
        name, colon, pair = part.partition(":")
        names.append(name.strip())
        if colon:
            key, equals, value = pair.partition("=")
            key, value = key.strip().lower(), value.strip()
            if not equals or _KEY.fullmatch(key) is None or _VALUE.fullmatch(value) is None:
                raise ValueError(f"{_EXPECTED}; a key is made of letters, digits and -_., a value of ASCII")
            if key.endswith("-bin"):
                raise ValueError(f"{_EXPECTED}; a key does not end with -bin: such metadata carry bytes, not text")
            found.append(RestrictedProtocols(tuple(names), key, value))
            names = []
    if names:
        raise ValueError(f"{_EXPECTED}; a value holds no comma")
    _check(name for each in found for name in each.protocols)
    return tuple(found)


def _check(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if name not in PROTOCOLS:
            raise ValueError(f"{_EXPECTED}; protocol {number} is unknown; known: {', '.join(PROTOCOLS)}")
        if name in seen:
            raise ValueError(f"protocol {name} is restricted twice")
        seen.add(name)
