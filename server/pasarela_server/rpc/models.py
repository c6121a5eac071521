"""What the services ask of the repository; `repository.manager.ModelManager` answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pasarela_server.config.model import ModelConfig
from pasarela_server.repository.override import LoadOverride
from pasarela_server.repository.readiness import IndexEntry
from pasarela_server.repository.servable import Handle
from pasarela_server.request import VersionName


class Models(Protocol):
    """The models of a repository. Called from the event loop: nothing here blocks."""

    def acquire(self, name: str, version: VersionName) -> Handle:
        """Pins a version, or the highest that is ready.

        Raises:
            ModelNotFound: There is none of that name or version, or none that is ready.
            InvalidRequest: There is no such label.
            ModelUnavailable: It cannot answer now.
        """
        ...

    def index(self) -> Sequence[IndexEntry]:
        """Every model and version known, with its state."""
        ...

    def ready(self) -> bool:
        """True if every model that should be loaded is ready."""
        ...

    def model_ready(self, name: str, version: VersionName) -> bool:
        """True if the version, or any version, is ready; False for unknown ones."""
        ...

    def ready_versions(self, name: str) -> Sequence[int]:
        """The versions of a model that are ready, lowest first.

        Raises:
            ModelNotFound: There is none of that name.
        """
        ...

    def config(self, name: str, version: VersionName) -> ModelConfig:
        """The configuration in force.

        Raises:
            ModelNotFound: There is none of that name or version.
            ModelUnavailable: It is not loaded.
        """
        ...

    def labels(self, name: str) -> Mapping[str, int]:
        """Names of versions of a model; empty for one that does not exist."""
        ...


class ModelControl(Protocol):
    """Loading and unloading; `repository.manager.ModelManager` does it. Every call blocks: not for the event loop."""

    def load(self, name: str, override: LoadOverride | None) -> None:
        """Loads a model, or loads it anew if it has changed. Raises as `ModelManager.load`."""
        ...

    def unload(self, name: str, *, with_dependents: bool) -> None:
        """Takes a model out of service. Raises as `ModelManager.unload`."""
        ...
