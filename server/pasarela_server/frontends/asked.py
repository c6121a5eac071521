"""A request as a front and the back speak of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client named, as it named it."""

    model: str
    version: str
    id: str
    received_ns: int
    """When it came, on the clock of `time.monotonic_ns`."""
    caller: str = ""
    """Of a request that may be traced; see `observability.record.Caller`."""
