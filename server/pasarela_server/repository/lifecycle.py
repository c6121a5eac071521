"""Brings one model from what it is to what it should be: load the new, then let the old go."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from pasarela_server.config.model import Latest
from pasarela_server.errors import BackendMissing, FilesChanged, InvalidModel, ServingError
from pasarela_server.repository.catalogue import Catalogue, Model
from pasarela_server.repository.desired import DesiredModel, desire
from pasarela_server.repository.observer import NOBODY, Observer
from pasarela_server.repository.servable import Loaded, State, Status, VersionSlot
from pasarela_server.repository.side_by_side import run_side_by_side
from pasarela_server.repository.version_labels import in_force
from pasarela_server.repository.versions import NO_VERSION, Standing, plan_versions, versions_to_retire
from pasarela_server.repository.watch import SETTLING, Look

_LOG = logging.getLogger("pasarela_server.repository")
_UNEXPECTED = "loading it failed unexpectedly; the server's log says how"


Load = Callable[[DesiredModel, int], Loaded]
"""Loads one version; blocks. Raises ServingError."""


class ModelLifecycle:
    """One model's way through its versions. One thread at a time brings it up; others wait for their turn."""

    def __init__(
        self,
        name: str,
        catalogue: Catalogue,
        load: Load,
        on_change: Callable[[str], None],
        observer: Observer = NOBODY,
    ) -> None:
        """Builds the lifecycle.

        Args:
            name: The model's.
            catalogue: Where versions are published.
            load: Loads one version; may be called for several at once.
            on_change: Told the model's name after each change.
            observer: Told what happens to versions.
        """
        self._name = name
        self._catalogue = catalogue
        self._load = load
        self._on_change = on_change
        self._observer = observer
        self._turn = threading.Lock()
        self._failed: dict[int, str] = {}
        """By version, the content that could not be loaded."""
        self._transient: set[int] = set()
        """Versions of `_failed` that are worth another try as they are: the cause lay elsewhere."""

    def bring_up(self, look: Look, *, starting: bool = False, again: bool = False) -> None:
        """Loads what should be loaded and is not, then retires what should not be. Blocks.

        Nothing that answers is given up before something else answers in its place.

        Args:
            look: The model as it lies on disk; it must be there.
            starting: True if readiness depends on the model, whatever comes of it.
            again: True to try once more what could not be loaded before.
        """
        with self._turn:
            for number in list(self._failed) if again else self._transient:
                self._failed.pop(number, None)
            self._transient.clear()
            self._bring_up(look, starting=starting)
        self._on_change(self._name)

    def withdraw(self, reason: Status | None) -> None:
        """Takes all versions out of service; does not wait for requests in flight.

        Args:
            reason: What the index says of the model from now on; None takes it out of the index.
        """
        with self._turn:
            self._failed.clear()
            if reason is None:
                slots = tuple(self._catalogue.remove(self._name).slots.values())
            else:
                changed = self._catalogue.change(
                    self._name, lambda model: replace(model, problem=reason, waiting={}, promised=False)
                )
                slots = tuple(changed.slots.values())
            for slot in slots:
                slot.retire()
                self._observer.forget(self._name, slot.number)
        self._on_change(self._name)

    def _bring_up(self, look: Look, *, starting: bool) -> None:
        assert look.found is not None
        try:
            desired = desire(look.found)
        except InvalidModel as error:
            self._keep_what_works(str(error), promised=starting)
            return
        if not desired.versions and not look.lingering:
            # Every version was taken away: that is no accident any more.
            self._retire(self._answering())
            self._keep_what_works(f"model {self._name!r}: {NO_VERSION}", promised=starting)
            return
        content = dict(look.content)
        if desired.is_detection and not look.found.versions and 0 in content:
            content[1] = content.pop(0)  # without version folders a detection model is its own version 1
        if desired.is_detection:
            # What it says of itself comes from the model that it runs: when that changes, so does this one.
            runs = self._catalogue.identity(desired.runs_model)
            content = {number: f"{identity} over {runs}" for number, identity in content.items()}
        self._catalogue.change(
            self._name,
            lambda model: replace(model, problem=None, waiting=look.waiting, promised=model.promised or starting),
        )
        while True:
            labelled = {*desired.labels.values(), *self._move_labels(desired.labels).values()}
            standing = self._standing(look, content)
            plan = plan_versions(standing, desired.policy, labelled)
            if not plan.load:
                break
            self._load_versions(desired, {number: content[number] for number in plan.load})
        self._retire(versions_to_retire(self._answering(), plan.keep, desired.versions))
        self._remark(look, content)
        broken = any(stands is Standing.FAILED for stands in standing.values())
        self._catalogue.change(
            self._name,
            lambda model: replace(
                model,
                slots={
                    number: slot
                    for number, slot in model.slots.items()
                    if number in desired.versions or slot.in_service or slot.status.state is not State.UNAVAILABLE
                },
                incomplete=broken and not isinstance(desired.policy, Latest) and (starting or model.incomplete),
                promised=model.promised or bool(self._answering()),
            ),
        )

    def _move_labels(self, wanted: Mapping[str, int]) -> Mapping[str, int]:
        """Moves the labels that can move, and returns what is in force."""
        ready = self._answering()
        return self._catalogue.change(
            self._name, lambda model: replace(model, labels=in_force(wanted, model.labels, ready))
        ).labels

    def _keep_what_works(self, problem: str, *, promised: bool) -> None:
        """What lies on disk cannot even be read: whatever answers goes on to do so."""
        answering = self._answering()
        before = self._model().problem
        if not answering and (before is None or before.reason != problem):
            _LOG.error("model %s: UNAVAILABLE: %s", self._name, problem)
        status = None if answering else Status(State.UNAVAILABLE, problem)
        self._catalogue.change(
            self._name, lambda model: replace(model, problem=status, promised=model.promised or promised)
        )
        for number in answering:
            self._say_once(number, f"what lies on disk now is not served: {problem}")

    def _standing(self, look: Look, content: Mapping[int, str]) -> dict[int, Standing]:
        answering = self._answering()
        standing: dict[int, Standing] = {}
        for number in answering & (look.waiting.keys() | look.lingering):
            standing[number] = Standing.READY
        slots = self._model().slots
        for number, identity in content.items():
            failed = self._failed.get(number) == identity
            if number in answering:
                same = failed or slots[number].content == identity
                standing[number] = Standing.READY if same else Standing.NEW
            else:
                standing[number] = Standing.FAILED if failed else Standing.NEW
        return standing

    def _load_versions(self, desired: DesiredModel, content: Mapping[int, str]) -> None:
        jobs = [
            functools.partial(self._load_version, desired, number, identity) for number, identity in content.items()
        ]
        run_side_by_side(jobs, "load")

    def _load_version(self, desired: DesiredModel, number: int, content: str) -> None:
        """Loads one version beside the one of the same number that answers, if any. Nothing escapes."""
        slot = VersionSlot(self._name, number, self._on_change, content)
        replaces = self._model().slots.get(number)
        aside = replaces is not None and replaces.in_service
        if not aside:
            self._catalogue.put_slot(slot)
        began_s = time.monotonic()
        try:
            loaded = self._load(desired, number)
        except Exception as error:  # noqa: BLE001 - a model must not take the others down
            if desired.is_detection or isinstance(error, FilesChanged):
                self._transient.add(number)
            self._fail(slot, error, replaces, aside=aside)
            return
        self._failed.pop(number, None)
        elapsed_s, decisions = time.monotonic() - began_s, "; ".join(loaded.decisions)
        self._observer.loaded(self._name, number, elapsed_s, loaded.quality)
        slot.publish(loaded.servable)
        if aside and replaces is not None:
            self._catalogue.put_slot(slot)
            replaces.retire()
        _LOG.info("model %s version %d: READY in %.1f s: %s", self._name, number, elapsed_s, decisions)

    def _fail(self, slot: VersionSlot, error: Exception, replaces: VersionSlot | None, *, aside: bool) -> None:
        known = isinstance(error, ServingError)
        reason = str(error) if known else _UNEXPECTED
        number = slot.number
        self._failed[number] = slot.content
        if aside:
            self._say_once(number, f"what should replace it cannot be loaded: {reason}")
            return
        missing = isinstance(error, BackendMissing)
        if replaces is None or replaces.status.reason != reason:
            level = logging.WARNING if missing else logging.ERROR
            unexpected = None if known else error
            _LOG.log(level, "model %s version %d: UNAVAILABLE: %s", self._name, number, reason, exc_info=unexpected)
        slot.fail(reason, backend_missing=missing)

    def _retire(self, numbers: Iterable[int]) -> None:
        slots = self._model().slots
        for number in sorted(numbers):
            _LOG.info("model %s version %d: unloaded", self._name, number)
            slots[number].retire()
            self._observer.forget(self._name, number)

    def _remark(self, look: Look, content: Mapping[int, str]) -> None:
        """Says of each version that answers why what lies on disk does not, or nothing."""
        slots = self._model().slots
        for number in self._answering():
            if look.waiting.get(number, SETTLING) != SETTLING:
                self._say_once(number, f"what lies on disk now is not served: {look.waiting[number]}")
            elif content.get(number) == slots[number].content:
                slots[number].remark("")

    def _say_once(self, number: int, reason: str) -> None:
        slot = self._model().slots[number]
        if slot.status.reason != reason:
            _LOG.warning("model %s version %d goes on as it is: %s", self._name, number, reason)
            slot.remark(reason)

    def _model(self) -> Model:
        return self._catalogue.get(self._name) or Model()

    def _answering(self) -> set[int]:
        return {slot.number for slot in self._model().slots.values() if slot.in_service}
