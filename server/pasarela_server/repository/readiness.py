"""What the repository looks like from outside: an index, and whether the server may call itself ready. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pasarela_server.repository.servable import State, Status


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version of a model; or a model of which no version could even be chosen."""

    name: str
    version: int | None
    state: State
    reason: str = ""
    """For people: why it is not READY."""


def is_ready(statuses: Collection[Status], *, strict: bool, allow_empty: bool) -> bool:
    """Whether a server whose loading is over is ready.

    Args:
        statuses: Of everything that should be loaded.
        strict: Whether a broken model holds readiness back. One whose framework is not installed never does.
        allow_empty: Whether it will do that nothing can answer.
    """
    if strict and any(status.state is not State.READY and not status.backend_missing for status in statuses):
        return False
    return allow_empty or any(status.state is State.READY for status in statuses)
