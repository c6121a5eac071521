"""Loads and unloads models for clients, where the control mode leaves that to them."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pasarela_server.errors import InvalidModel, InvalidRequest, LoadFailed, ModelUnavailable, ServingError
from pasarela_server.repository.catalogue import Catalogue
from pasarela_server.repository.desired import desire, runs_model
from pasarela_server.repository.override import LoadOverride, OverrideStore
from pasarela_server.repository.scan import ModelOnDisk
from pasarela_server.repository.servable import State
from pasarela_server.repository.watch import Look

_log = logging.getLogger("pasarela_server.repository")


class ControlMode(enum.Enum):
    """Who decides what is loaded; the value is the flag's."""

    NONE = "none"
    """Everything, when the server starts; nothing changes afterwards."""
    EXPLICIT = "explicit"
    """What the flags name, and then what clients ask for."""
    POLL = "poll"
    """Everything, and whatever changes in the repository while the server runs."""


class ModelControl:
    """What clients may do to the repository. Every call blocks until it is done."""

    def __init__(
        self,
        mode: ControlMode,
        catalogue: Catalogue,
        find: Callable[[], Sequence[ModelOnDisk]],
        bring_up: Callable[[ModelOnDisk], Look],
        withdraw: Callable[[str], None],
    ) -> None:
        """Builds the control.

        Args:
            mode: Anything but EXPLICIT refuses every call.
            catalogue: What is loaded.
            find: Scans the repository; raises InvalidModel if it cannot be read.
            bring_up: Loads what is new of a model, and tells how it lay on disk.
            withdraw: Takes a model out of service.
        """
        self._mode = mode
        self._catalogue = catalogue
        self._scan = find
        self._bring_up = bring_up
        self._withdraw = withdraw
        self._overrides = OverrideStore()

    def load(self, name: str, override: LoadOverride | None = None) -> None:
        """Loads a model as it lies on disk now, or as a client sent it; what has not changed is not loaded anew.

        A detection model brings the model that it runs with it; those that run the loaded one are renewed.

        Args:
            name: The model.
            override: A configuration, and files, to use instead of those in the repository.

        Raises:
            ModelUnavailable: The control mode leaves this to others.
            InvalidRequest: There is no such model, or the override cannot be understood.
            LoadFailed: It cannot be loaded; with the reason. What answered before goes on to do so.
        """
        self._require_explicit("load")
        if override is not None and override.files:
            found = self._overrides.place(name, override)
        else:
            found = self._find(name)
            if override is not None:
                found = replace(found, config_text=override.config_text)
        try:
            runs = desire(found).runs_model
        except ServingError as error:
            if override is not None and override.files:
                self._overrides.take_back(name)
            raise LoadFailed(f"model {name!r} cannot be loaded: {error}") from error
        if runs and not self._catalogue.model_ready(runs):
            self.load(runs)
        look = self._bring_up(found)
        reason = self._why_not_loaded(name, look)
        if reason:
            raise LoadFailed(reason)
        self._overrides.keep_last(name)
        for model in self._find_all():
            if runs_model(model) == name and self._catalogue.model_ready(model.name):
                self._bring_up(model)

    def unload(self, name: str, *, with_dependents: bool = False) -> None:
        """Takes a model out of service. Requests in flight finish; it does not wait for them.

        Args:
            name: The model; to unload one that is not loaded, or not there, is no error, as in Triton.
            with_dependents: Whether the model that a detection model runs goes too.

        Raises:
            ModelUnavailable: The control mode leaves this to others.
            LoadFailed: The repository cannot be read, which `with_dependents` needs.
        """
        self._require_explicit("unload")
        if self._catalogue.get(name) is None:
            self._overrides.drop(name)
            return
        runs = "".join(runs_model(model) for model in self._find_all() if model.name == name) if with_dependents else ""
        self._withdraw(name)
        self._overrides.drop(name)
        if runs and self._catalogue.get(runs) is not None:
            self._withdraw(runs)

    def close(self) -> None:
        """Removes what clients have sent."""
        self._overrides.close()

    def _require_explicit(self, what: str) -> None:
        if self._mode is not ControlMode.EXPLICIT:
            raise ModelUnavailable(
                f"clients may not {what} models while the control mode is {self._mode.value!r}; start the server with "
                "--model-control-mode explicit"
            )

    def _find_all(self) -> Sequence[ModelOnDisk]:
        """What the repository holds. Clients are not told where it lies: the log is."""
        try:
            return self._scan()
        except InvalidModel as error:
            _log.error("a client could not load or unload a model: %s", error)
            raise LoadFailed("the model repository cannot be read; the server's log says why") from error

    def _find(self, name: str) -> ModelOnDisk:
        found = {model.name: model for model in self._find_all()}
        if name not in found:
            raise InvalidRequest(f"there is no model {name!r} in the repository; there are {_names(found)}")
        return found[name]

    def _why_not_loaded(self, name: str, look: Look) -> str:
        """Why what was asked for does not answer now as it lies on disk; empty if it does."""
        model = self._catalogue.get(name)
        if model is None:
            return f"model {name!r} was taken out of the repository meanwhile"
        statuses = {number: slot.status for number, slot in model.slots.items()}
        ready = [number for number, status in statuses.items() if status.state is State.READY]
        failed = [
            f"version {number}: {status.reason}"
            for number, status in statuses.items()
            if status.reason and (number in ready or (number in look.content and number > max(ready, default=0)))
        ]
        failed += [f"version {number}: {why}" for number, why in look.waiting.items() if number > max(ready, default=0)]
        if ready and failed:
            return f"model {name!r}: what answered before goes on to do so, for {failed[0]}"
        if not ready:
            reasons = [model.problem.reason] if model.problem is not None else failed
            return f"model {name!r} cannot be loaded: {'; '.join(reasons) or 'it has no version'}"
        return ""


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
