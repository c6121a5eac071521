"""The models of a repository: loads what should be loaded, hands out what is ready, and says what is wrong."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pasarela_server.backends.base import BackendLoader
from pasarela_server.config.model import ModelConfig
from pasarela_server.errors import BackendMissing, ModelNotFound, ModelUnavailable, ServerStopping, ServingError
from pasarela_server.repository.desired import DesiredModel, desire
from pasarela_server.repository.load import load_raw
from pasarela_server.repository.load_detection import load_detection
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.readiness import IndexEntry, is_ready
from pasarela_server.repository.scan import scan
from pasarela_server.repository.servable import Handle, Loaded, State, Status, VersionSlot

_LOG = logging.getLogger("pasarela_server.repository")
_UNEXPECTED = "loading it failed unexpectedly; the server's log says how"


@dataclass(frozen=True, slots=True)
class ManagerOptions:
    """How to treat a repository."""

    load_threads: int = 4
    """Models that are loaded at the same time."""
    allow_empty: bool = False
    strict_readiness: bool = True
    limits: ImageLimits = field(default_factory=ImageLimits)


@dataclass(frozen=True, slots=True)
class _Model:
    """A model that should be loaded."""

    problem: Status | None = None
    """Why no version could even be chosen."""
    slots: Mapping[int, VersionSlot] = field(default_factory=dict)
    """By version, highest first."""


class ModelManager:
    """Owns every loaded version. All methods may be called from any thread."""

    def __init__(
        self,
        root: Path,
        loaders: Mapping[str, BackendLoader],
        pool: Executor,
        cpu_threads: int,
        on_change: Callable[[str], None] = lambda _: None,
        options: ManagerOptions = ManagerOptions(),
    ) -> None:
        """Builds the manager; `load_all` does the work.

        Args:
            root: The repository's folder.
            loaders: By backend name.
            pool: Runs the work on pixels; its owner shuts it down after `close`.
            cpu_threads: Cores to plan with.
            on_change: Told the name of a model after each change of state, on the thread that made it: do not block.
            options: How to treat the repository.
        """
        self._root = root
        self._loaders = loaders
        self._pool = pool
        self._cpu_threads = cpu_threads
        self._on_change = on_change
        self._options = options
        self._models: Mapping[str, _Model] = {}
        self._loaded = False
        self._stopping = threading.Event()

    def load_all(self) -> None:
        """Scans the repository and loads everything in it. Blocks until each model is READY or has failed.

        One broken model never stops the others: it is UNAVAILABLE, with the reason in the index.

        Raises:
            InvalidModel: The repository itself is missing, unreadable, or empty although that is not allowed.
        """
        on_disk = scan(self._root, allow_empty=self._options.allow_empty)
        models: dict[str, _Model] = {}
        desired: list[DesiredModel] = []
        for found in on_disk:
            try:
                model = desire(found)
            except ServingError as error:
                models[found.name] = _Model(Status(State.UNAVAILABLE, str(error)))
                _LOG.error("model %s: UNAVAILABLE: %s", found.name, error)
            else:
                desired.append(model)
                numbers = sorted(model.versions, reverse=True)
                slots = {number: VersionSlot(found.name, number, self._on_change) for number in numbers}
                models[found.name] = _Model(slots=slots)
        self._models = models
        with ThreadPoolExecutor(self._options.load_threads, thread_name_prefix="load") as threads:
            for are_detection in (False, True):
                wave = [model for model in desired if model.is_detection is are_detection]
                jobs = [threads.submit(self._fill, model, number) for model in wave for number in model.versions]
                for job in jobs:
                    job.result()
        self._loaded = True
        for name in models:
            self._on_change(name)

    def acquire(self, name: str, version: int | None = None) -> Handle:
        """Pins a version for one request; give the handle back as soon as the answer is there.

        Args:
            name: The model.
            version: None takes the highest version that is ready.

        Raises:
            ModelNotFound: No such model, or no such version of it.
            ModelUnavailable: It is not ready; with the reason.
            ServerStopping: The server drains.
        """
        if self._stopping.is_set():
            raise ServerStopping("the server is stopping and takes no more requests")
        model = self._model(name)
        if version is not None and version not in model.slots:
            known = ", ".join(map(str, model.slots)) or "none"
            raise ModelNotFound(f"model {name!r} has no version {version} that should be loaded; it has {known}")
        if version is not None:
            return model.slots[version].acquire()
        if model.problem is not None:
            raise ModelUnavailable(f"model {name!r} is not ready: {model.problem.reason}")
        refusals: list[ModelUnavailable] = []
        for slot in model.slots.values():
            try:
                return slot.acquire()
            except ModelUnavailable as error:
                refusals.append(error)
        raise refusals[0]

    def config(self, name: str, version: int | None = None) -> ModelConfig:
        """The configuration in force of a version that is ready; raises as `acquire` does."""
        with self.acquire(name, version) as handle:
            return handle.servable.config

    def ready_versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model that are ready, lowest first.

        Raises:
            ModelNotFound: No such model.
        """
        slots = self._model(name).slots.values()
        return tuple(sorted(slot.number for slot in slots if slot.status.state is State.READY))

    def model_ready(self, name: str, version: int | None = None) -> bool:
        """Whether a version is ready (None: any of the model's); False for one that does not exist."""
        model = self._models.get(name)
        ready = self.ready_versions(name) if model is not None and not self._stopping.is_set() else ()
        return bool(ready) if version is None else version in ready

    def ready(self) -> bool:
        """Whether the server may call itself ready."""
        if not self._loaded or self._stopping.is_set():
            return False
        return is_ready(self._statuses(), strict=self._options.strict_readiness, allow_empty=self._options.allow_empty)

    def index(self) -> tuple[IndexEntry, ...]:
        """Every model and version that should be loaded, by name and version, with state and reason."""
        entries: list[IndexEntry] = []
        for name, model in sorted(self._models.items()):
            if model.problem is not None:
                entries.append(IndexEntry(name, None, model.problem.state, model.problem.reason))
            for number, slot in sorted(model.slots.items()):
                status = slot.status
                entries.append(IndexEntry(name, number, status.state, status.reason))
        return tuple(entries)

    def close(self, timeout_s: float = 30.0) -> None:
        """Takes every model out of service and frees it. Blocks; not for the event loop, which must give handles back.

        Args:
            timeout_s: How long requests may take to their end. After that those that still wait fail.
        """
        self._stopping.set()
        until_s = time.monotonic() + timeout_s
        slots = [slot for model in self._models.values() for slot in model.slots.values()]
        for slot in slots:
            slot.retire()
        for slot in slots:
            if not slot.wait_closed(max(0.0, until_s - time.monotonic())):
                slot.abandon()

    def _model(self, name: str) -> _Model:
        model = self._models.get(name)
        if model is None:
            raise ModelNotFound(f"there is no model {name!r}; there are {', '.join(sorted(self._models)) or 'none'}")
        return model

    def _statuses(self) -> tuple[Status, ...]:
        problems = [model.problem for model in self._models.values() if model.problem is not None]
        return (*problems, *(slot.status for model in self._models.values() for slot in model.slots.values()))

    def _fill(self, model: DesiredModel, number: int) -> None:
        """Loads one version into its slot. Nothing escapes: the others must go on."""
        slot = self._models[model.name].slots[number]
        began_s = time.monotonic()
        try:
            loaded = self._load(model, number)
        except BackendMissing as error:
            slot.fail(str(error), backend_missing=True)
            _LOG.warning("model %s version %d: UNAVAILABLE: %s", model.name, number, error)
        except ServingError as error:
            slot.fail(str(error))
            _LOG.error("model %s version %d: UNAVAILABLE: %s", model.name, number, error)
        except Exception:  # noqa: BLE001 - a model must not take the others down
            slot.fail(_UNEXPECTED)
            _LOG.exception("model %s version %d: UNAVAILABLE: loading it failed unexpectedly", model.name, number)
        else:
            slot.publish(loaded.servable)
            elapsed_s, decisions = time.monotonic() - began_s, "; ".join(loaded.decisions)
            _LOG.info("model %s version %d: READY in %.1f s: %s", model.name, number, elapsed_s, decisions)

    def _load(self, model: DesiredModel, number: int) -> Loaded:
        limits = self._options.limits
        if model.is_detection:
            return load_detection(model, number, self.acquire, self._pool, limits)
        folder = model.versions[number]
        return load_raw(model, number, folder, self._loaders, self._cpu_threads, self._pool, limits)
