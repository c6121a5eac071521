"""What may be asked of the models at any moment, from any thread, without waiting for whoever loads or unloads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pasarela_server.errors import (
    InvalidRequest,
    ModelNotFound,
    ModelSuspended,
    ModelUnavailable,
    NoVersionReady,
    ServerStopping,
)
from pasarela_server.repository.readiness import IndexEntry, ModelStanding
from pasarela_server.repository.servable import UNLOADED, Handle, State, Status, VersionSlot
from pasarela_server.request import VersionName


@dataclass(frozen=True, slots=True)
class Model:
    """One model as it stands. Never changed: what changes is which of them the catalogue holds."""

    problem: Status | None = None
    """Why no version can be chosen, or that the model was not asked for; None if there are versions."""
    slots: Mapping[int, VersionSlot] = field(default_factory=dict)
    """By version, highest first: those that answer, and those that do not with the reason."""
    waiting: Mapping[int, str] = field(default_factory=dict)
    """Versions on disk that do not count yet, and why."""
    labels: Mapping[str, int] = field(default_factory=dict)
    promised: bool = False
    """True if the server's readiness depends on it; see `readiness.ModelStanding`."""
    incomplete: bool = False
    """See `readiness.ModelStanding`."""


class Catalogue:
    """Holds the models. Readers take what is there; writers replace one model at a time."""

    def __init__(self, *, complete: bool = True) -> None:
        self._models: Mapping[str, Model] = {}
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self.complete = complete
        """False while a server starts: a model that is not here may only not have had its turn yet."""

    def get(self, name: str) -> Model | None:
        """The model of that name."""
        return self._models.get(name)

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._models))

    def change(self, name: str, change: Callable[[Model], Model]) -> Model:
        """Replaces one model by what `change` makes of it; of an empty one, if there is none."""
        with self._writing:
            model = change(self._models.get(name, Model()))
            self._models = {**self._models, name: model}
            return model

    def put_slot(self, slot: VersionSlot) -> VersionSlot | None:
        """Puts a version where requests find it; returns the one of the same number that it replaces."""
        before = self._models.get(slot.model, Model()).slots.get(slot.number)

        def put(model: Model) -> Model:
            slots = {**model.slots, slot.number: slot}
            waiting = {number: why for number, why in model.waiting.items() if number != slot.number}
            ordered = dict(sorted(slots.items(), reverse=True))
            return replace(model, problem=None, slots=ordered, waiting=waiting)

        self.change(slot.model, put)
        return before

    def remove(self, name: str) -> Model:
        """Takes a model out."""
        with self._writing:
            model = self._models.get(name, Model())
            self._models = {other: each for other, each in self._models.items() if other != name}
            return model

    def stop(self) -> None:
        """Refuses every request from now on."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """True after `stop`."""
        return self._stopping.is_set()

    def acquire(self, name: str, version: VersionName = None) -> Handle:
        """Pins a version for one request; give the handle back as soon as the answer is there.

        Args:
            name: The model.
            version: A number or a label; None takes the highest version that is ready.

        Raises:
            ModelNotFound: No such model, no such version of it, or (NoVersionReady) none that is ready.
            InvalidRequest: No such label.
            ModelUnavailable: The version is not ready, or the model is being loaded; with the reason.
            ServerStopping: The server drains.
        """
        if self.stopping:
            raise ServerStopping("the server is stopping and takes no more requests")
        while True:
            model = self._model(name)
            try:
                return _acquire_highest(name, model) if version is None else _acquire(name, model, version)
            except (ModelUnavailable, NoVersionReady):
                # A version may have been replaced between the two looks: then its successor is there by now.
                if self._models.get(name) is model:
                    raise

    def ready_versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model that are ready, lowest first.

        Raises:
            ModelNotFound: No such model.
        """
        return _ready(self._model(name))

    def labels(self, name: str) -> Mapping[str, int]:
        """The labels of a model, empty for one that does not exist."""
        return self._models.get(name, Model()).labels

    def model_ready(self, name: str, version: VersionName = None) -> bool:
        """Whether a version is ready (None: any of the model's); False for one that does not exist."""
        model = self._models.get(name)
        if model is None or self.stopping:
            return False
        ready = _ready(model)
        return bool(ready) if version is None else _number(name, model, version) in ready

    def identity(self, name: str) -> str:
        """A text that changes when other versions, or other contents of them, answer for a model."""
        slots = self._models.get(name, Model()).slots.values()
        return ", ".join(f"{slot.number}: {slot.content}" for slot in slots if slot.in_service)

    def standings(self) -> tuple[ModelStanding, ...]:
        """What readiness is decided by, of each model."""
        return tuple(
            ModelStanding(
                statuses=(
                    *([model.problem] if model.problem is not None else ()),
                    *(slot.status for slot in model.slots.values()),
                    *(Status(State.UNAVAILABLE, why) for why in model.waiting.values()),
                ),
                promised=model.promised,
                incomplete=model.incomplete,
            )
            for model in self._models.values()
        )

    def waiting(self) -> tuple[tuple[str, int, int], ...]:
        """Model, version and requests in its queue, of each version that is ready."""
        return tuple(
            (name, slot.number, slot.waiting)
            for name, model in self._models.items()
            for slot in model.slots.values()
            if slot.status.state is State.READY
        )

    def index(self) -> tuple[IndexEntry, ...]:
        """Every model and version known, by name and version, with state and reason."""
        entries: list[IndexEntry] = []
        for name, model in sorted(self._models.items()):
            if model.problem is not None and not (model.problem.state is State.UNKNOWN and model.slots):
                entries.append(IndexEntry(name, None, model.problem.state, model.problem.reason))
            statuses = {number: Status(State.UNAVAILABLE, why) for number, why in model.waiting.items() if number}
            statuses |= {number: slot.status for number, slot in model.slots.items()}
            entries += [
                IndexEntry(name, number, status.state, status.reason) for number, status in sorted(statuses.items())
            ]
        return tuple(entries)

    def _model(self, name: str) -> Model:
        model = self._models.get(name)
        if model is None:
            if not self.complete:
                raise ModelUnavailable(f"the server is starting, and does not know yet whether it has a model {name!r}")
            raise ModelNotFound(f"there is no model {name!r}; there are {', '.join(sorted(self._models)) or 'none'}")
        return model


def _ready(model: Model) -> tuple[int, ...]:
    return tuple(sorted(slot.number for slot in model.slots.values() if slot.status.state is State.READY))


def _number(name: str, model: Model, version: VersionName) -> int | None:
    if not isinstance(version, str):
        return version
    number = model.labels.get(version)
    if number is None:
        known = ", ".join(f"{label} (version {labelled})" for label, labelled in sorted(model.labels.items())) or "none"
        raise InvalidRequest(
            f"model {name!r}: expected a version, a positive integer, or one of its labels ({known}); got {version!r}"
        )
    return number


def _acquire(name: str, model: Model, version: int | str) -> Handle:
    number = _number(name, model, version)
    slot = model.slots.get(number) if number is not None else None
    if slot is not None:
        return slot.acquire()
    called = f"version {number}" if number == version else f"version {number}, which {version!r} names"
    waiting = None if number is None else model.waiting.get(number)
    if waiting is not None:
        raise ModelUnavailable(f"model {name!r}, {called}, is not ready: {waiting}")
    known = ", ".join(map(str, model.slots)) or "none"
    raise ModelNotFound(f"model {name!r} has no {called}, that should be loaded; it has {known}")


def _acquire_highest(name: str, model: Model) -> Handle:
    refusals: list[ModelUnavailable] = []
    for slot in model.slots.values():
        try:
            return slot.acquire()
        except ModelUnavailable as error:
            refusals.append(error)
    suspended = [error for error in refusals if isinstance(error, ModelSuspended)]
    if suspended:
        raise suspended[0]
    if model.problem is not None and model.problem.state is State.LOADING:
        raise ModelUnavailable(f"model {name!r} is not ready: {model.problem.reason}")
    if any(slot.status.state is State.LOADING for slot in model.slots.values()):
        raise ModelUnavailable(f"model {name!r} is not ready: {_why_none(model)}")
    raise NoVersionReady(
        f"model {name!r} has no version that is ready: {_why_none(model)}",
        backend_missing=any(slot.status.backend_missing for slot in model.slots.values()),
    )


def _why_none(model: Model) -> str:
    """The reason that tells most: what failed before what was unloaded."""
    if model.problem is not None and not model.slots:
        return model.problem.reason or "it was not loaded"
    statuses = {number: slot.status for number, slot in model.slots.items()}
    telling = {number: status for number, status in statuses.items() if status.reason != UNLOADED} or statuses
    reasons = [f"version {number}: {status.reason}" for number, status in telling.items()]
    reasons += [f"version {number}: {why}" if number else why for number, why in model.waiting.items()]
    return "; ".join(reasons[:3]) or "there is none"
