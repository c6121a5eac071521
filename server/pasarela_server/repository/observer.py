"""Who is told what versions do; `observability.metrics.Metrics` is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pasarela_server.scheduling.execution import Execution


class Observer(Protocol):
    """Told of what happens to versions, on whichever thread it happens: must neither block nor raise."""

    def executed(self, model: str, version: int, execution: Execution) -> None:
        """A raw model's version has executed a batch; told before any request of it gets its answer."""
        ...

    def loaded(self, model: str, version: int, seconds: float, quality: Mapping[str, float]) -> None:
        """A version becomes READY now; loading it took so long, and its manifest says how well it detects."""
        ...

    def forget(self, model: str, version: int) -> None:
        """A version has been unloaded, and none of the same number took its place."""
        ...


class _Nobody:
    """Takes no notice."""

    def executed(self, model: str, version: int, execution: Execution) -> None:
        """Nothing."""

    def loaded(self, model: str, version: int, seconds: float, quality: Mapping[str, float]) -> None:
        """Nothing."""

    def forget(self, model: str, version: int) -> None:
        """Nothing."""


NOBODY: Observer = _Nobody()
