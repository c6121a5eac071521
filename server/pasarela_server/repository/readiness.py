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


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """What counts of one model."""

    statuses: tuple[Status, ...]
    """Of its versions, and of itself if none could be chosen."""
    promised: bool
    """True if it should answer: it was there when the server started, was asked for, or has been READY since. One that
    arrives later and is broken says so in the index, and takes no server out of service."""
    incomplete: bool = False
    """True if a version that the model's policy names by itself (`all`, `specific`) was broken from the start."""


def is_ready(models: Collection[ModelStanding], *, strict: bool, allow_empty: bool) -> bool:
    """Whether a server whose first loading is over is ready.

    Args:
        models: Everything that is known.
        strict: Whether a promised model that is incomplete, or of which no version answers, holds readiness back.
            One whose framework is not installed never does.
        allow_empty: Whether it will do that nothing can answer.
    """
    answering = [any(status.state is State.READY for status in model.statuses) for model in models]
    if strict and any(
        model.promised
        and (model.incomplete or not answers)
        and not any(status.backend_missing for status in model.statuses)
        for model, answers in zip(models, answering, strict=True)
    ):
        return False
    return allow_empty or any(answering)
