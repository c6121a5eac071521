"""The contract of a backend, kept from another process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pasarela_server.backends.base import ArtefactSpec, BackendLoader, BackendOptions
from pasarela_server.backends.isolation.keeper import Opening, ProcessKeeper
from pasarela_server.backends.isolation.process_log import ProcessLog
from pasarela_server.backends.isolation.session import IsolatedSession
from pasarela_server.backends.isolation.spec_text import OpenedModel


class IsolatedBackend:
    """A loaded artefact in a process of its own; see `RecoveringBackend`."""

    def __init__(self, keeper: ProcessKeeper, opened: OpenedModel, options: BackendOptions) -> None:
        """Takes over the keeper, which is started; see `IsolatedLoader`."""
        self._keeper = keeper
        self._opened = opened
        self._options = options
        self._sessions = 0

    @property
    def spec(self) -> ArtefactSpec:
        """See `Backend.spec`."""
        return self._opened.spec

    @property
    def description(self) -> str:
        """See `Backend.description`."""
        return f"{self._opened.description}, in a process of its own"

    @property
    def away(self) -> str:
        """See `RecoveringBackend.away`."""
        return self._keeper.away

    def follow(self, changed: Callable[[], None]) -> None:
        """See `RecoveringBackend.follow`."""
        self._keeper.follow(changed)

    def session(self) -> IsolatedSession:
        """See `Backend.session`. There are as many as `options.instances`, and no more."""
        index, self._sessions = self._sessions, self._sessions + 1
        if index >= self._options.instances:
            raise RuntimeError(f"this backend was opened for {self._options.instances} sessions")
        return IsolatedSession(self._keeper, index, self._opened.wide_threads, self._options.timeout_s)

    def close(self) -> None:
        """See `Backend.close`."""
        self._keeper.close()


class IsolatedLoader:
    """Loads artefacts as another loader does, in processes of their own."""

    def __init__(self, loader: BackendLoader, model: str, log: ProcessLog | None = None) -> None:
        """Wraps a loader.

        Args:
            loader: Of a class that can be imported by its name, and built without arguments.
            model: The model's name, for messages.
            log: What the process logs; None for the defaults.
        """
        kind = type(loader)
        self.name = loader.name
        self.artefact = loader.artefact
        self._path = f"{kind.__module__}:{kind.__qualname__}"
        self._model = model
        self._log = log or ProcessLog()

    def load(self, artefact: Path, options: BackendOptions) -> IsolatedBackend:
        """See `BackendLoader.load`."""
        keeper = ProcessKeeper(Opening(self._model, self._path, artefact.absolute(), options, self._log))
        return IsolatedBackend(keeper, keeper.start(), options)
