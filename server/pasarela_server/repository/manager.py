"""The models of a repository: keeps loaded what should be, as the control mode says, and hands out what is ready."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

from pasarela_server.backends.base import BackendLoader
from pasarela_server.config.model import ModelConfig
from pasarela_server.errors import FilesChanged, InvalidModel
from pasarela_server.repository.catalogue import Catalogue
from pasarela_server.repository.control import ControlMode, ModelControl
from pasarela_server.repository.desired import DesiredModel, runs_model
from pasarela_server.repository.fingerprint import mark_files
from pasarela_server.repository.isolation import NOT_ISOLATED, Isolation
from pasarela_server.repository.lifecycle import ModelLifecycle
from pasarela_server.repository.load import load_raw
from pasarela_server.repository.load_detection import load_detection
from pasarela_server.repository.load_suppression import load_suppression
from pasarela_server.repository.manifest import read_quality
from pasarela_server.repository.observer import NOBODY, Observer
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.readiness import IndexEntry, is_ready
from pasarela_server.repository.scan import ModelOnDisk, scan
from pasarela_server.repository.servable import Handle, Loaded, State, Status, VersionSlot
from pasarela_server.repository.side_by_side import run_side_by_side
from pasarela_server.repository.watch import Look, Watcher
from pasarela_server.request import VersionName
from pasarela_server.scheduling.cores import CoreBudget

_LOG = logging.getLogger("pasarela_server.repository")
_NEVER_LOADED = Status(State.UNKNOWN)
_TO_COME = Status(State.LOADING, "the server is starting, and has not come to it yet")
_MISSING = Status(State.UNAVAILABLE, "it should be loaded at the start, and is not in the repository")


@dataclass(frozen=True, slots=True)
class ManagerOptions:
    """How to treat a repository."""

    control: ControlMode = ControlMode.NONE
    load_models: tuple[str, ...] = ()
    """With EXPLICIT: what to load at the start; `*` for everything."""
    settle_s: float = 2.0
    """With POLL: how long files must have stayed the same before they count."""
    load_threads: int = 4
    """Versions that are loaded at the same time."""
    allow_empty: bool = False
    strict_readiness: bool = True
    limits: ImageLimits = field(default_factory=ImageLimits)
    busy_cores: int | None = None
    """Cores that all models on the CPU together keep busy; None lets each keep its own busy."""
    cache_folder: Path | None = None
    """Where backends may keep what they made of artefacts, for the next start."""
    isolation: Isolation = NOT_ISOLATED


class ModelManager:
    """Owns every loaded version. All methods may be called from any thread; those that load or unload block."""

    def __init__(
        self,
        root: Path,
        loaders: Mapping[str, BackendLoader],
        pool: Executor,
        cpu_threads: int,
        on_change: Callable[[str], None] = lambda _: None,
        options: ManagerOptions = ManagerOptions(),
        watcher: Watcher | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        """Builds the manager; `load_all` does the work.

        Args:
            root: The repository's folder.
            loaders: By backend name.
            pool: Runs the work on pixels; its owner shuts it down after `close`.
            cpu_threads: Cores to plan with.
            on_change: Told the name of a model after each change of state, on the thread that made it: do not block.
            options: How to treat the repository.
            watcher: Tells what has settled; None builds the one that the options ask for.
            observer: Told what happens to versions.
        """
        self._root = root
        self._loaders = loaders
        self._pool = pool
        self._cpu_threads = cpu_threads
        self._on_change = on_change
        self._options = options
        self._budget = None if options.busy_cores is None else CoreBudget(options.busy_cores)
        self._observer = observer
        self._catalogue = Catalogue(complete=False)
        self._room = threading.BoundedSemaphore(options.load_threads)
        """Taken by each version while it is loaded."""
        settle_s = options.settle_s if options.control is ControlMode.POLL else 0.0
        self._watcher = watcher or Watcher(settle_s, identify=options.control is not ControlMode.NONE)
        self._looking = threading.Lock()
        """Held while the watcher is used, never while something is loaded."""
        self._lifecycles: dict[str, ModelLifecycle] = {}
        self.control = ModelControl(
            options.control,
            self._catalogue,
            find=lambda: scan(root, allow_empty=True),
            bring_up=self._bring_up_one,
            withdraw=self._withdraw,
        )
        """Loads and unloads for clients, where the control mode lets them."""
        self._loaded = False
        self._stopped = threading.Event()

    def load_all(self) -> None:
        """Scans the repository and loads what the control mode says. Blocks until each model is READY or has failed.

        One broken model never stops the others: it is UNAVAILABLE, with the reason in the index.

        Raises:
            InvalidModel: The repository itself is missing, unreadable, or empty although that is not allowed.
        """
        found = scan(self._root, allow_empty=self._options.allow_empty or self._explicit)
        wanted = self._choose(found) if self._explicit else found
        looks = self._first_look(wanted)
        for look in looks:
            self._catalogue.change(look.name, lambda model: replace(model, problem=_TO_COME, promised=True))
        self._catalogue.complete = True
        self._bring_up(looks, starting=True)
        self._loaded = True
        for name in self._catalogue.names():
            self._on_change(name)

    def poll(self) -> float | None:
        """Takes another look at the repository and follows it. Blocks while something is loaded.

        Returns:
            In how many seconds something that is being written may have settled; None if nothing is.
        """
        try:
            found = scan(self._root, allow_empty=True)
        except InvalidModel as error:
            _LOG.warning("the model repository cannot be read, everything goes on as it is: %s", error)
            return None
        if not found and self._catalogue.names() and not self._options.allow_empty:
            _LOG.warning("the model repository is empty, as if it were gone; everything goes on as it is")
            return None
        with self._looking:
            looks = self._watcher.look(found)
            due_s = self._watcher.due_s
        self._bring_up([look for look in looks if look.found is not None])
        for look in looks:
            if look.found is None and not look.recent:
                _LOG.info("model %s is not in the repository any more: it is unloaded", look.name)
                self._lifecycle(look.name).withdraw(None)
        return due_s

    def acquire(self, name: str, version: VersionName = None) -> Handle:
        """Pins a version for one request; see `Catalogue.acquire`."""
        return self._catalogue.acquire(name, version)

    def config(self, name: str, version: VersionName = None) -> ModelConfig:
        """The configuration in force of a version that is ready; raises as `acquire` does."""
        with self.acquire(name, version) as handle:
            return handle.servable.config

    def ready_versions(self, name: str) -> tuple[int, ...]:
        """See `Catalogue.ready_versions`."""
        return self._catalogue.ready_versions(name)

    def labels(self, name: str) -> Mapping[str, int]:
        """See `Catalogue.labels`."""
        return self._catalogue.labels(name)

    def model_ready(self, name: str, version: VersionName = None) -> bool:
        """See `Catalogue.model_ready`."""
        return self._catalogue.model_ready(name, version)

    def ready(self) -> bool:
        """Whether the server may call itself ready."""
        if not self._loaded or self._catalogue.stopping:
            return False
        allow_empty = self._options.allow_empty or self._explicit
        return is_ready(self._catalogue.standings(), strict=self._options.strict_readiness, allow_empty=allow_empty)

    def index(self) -> tuple[IndexEntry, ...]:
        """See `Catalogue.index`."""
        return self._catalogue.index()

    def waiting(self) -> tuple[tuple[str, int, int], ...]:
        """See `Catalogue.waiting`."""
        return self._catalogue.waiting()

    @property
    def loading(self) -> bool:
        """True while some version is being loaded, which nothing can interrupt."""
        return any(entry.state is State.LOADING for entry in self.index())

    def close(self, timeout_s: float = 30.0) -> None:
        """Takes every model out of service and frees it. Blocks; not for the event loop, which must give handles back.

        Args:
            timeout_s: How long requests may take to their end. After that those that still wait fail.
        """
        self._stopped.set()
        self._catalogue.stop()
        until_s = time.monotonic() + timeout_s
        slots: list[VersionSlot] = []
        for name in self._catalogue.names():
            model = self._catalogue.get(name)
            slots += () if model is None else model.slots.values()
        for slot in slots:
            slot.retire()
        for slot in slots:
            if not slot.wait_closed(max(0.0, until_s - time.monotonic())):
                slot.abandon()
        self.control.close()

    @property
    def _explicit(self) -> bool:
        return self._options.control is ControlMode.EXPLICIT

    def _choose(self, found: Sequence[ModelOnDisk]) -> tuple[ModelOnDisk, ...]:
        """What is loaded at the start of those that are there: the named models, and what they run."""
        by_name = {model.name: model for model in found}
        named = set(by_name) if "*" in self._options.load_models else set(self._options.load_models)
        for model in found:
            self._catalogue.change(model.name, lambda known: replace(known, problem=_NEVER_LOADED))
        for name in sorted(named - by_name.keys()):
            _LOG.error("model %s, which should be loaded at the start, is not in the repository", name)
            self._catalogue.change(name, lambda known: replace(known, problem=_MISSING, promised=True))
        run = {runs_model(by_name[name]) for name in named & by_name.keys()}
        return tuple(model for model in found if model.name in named | run)

    def _first_look(self, wanted: Sequence[ModelOnDisk]) -> tuple[Look, ...]:
        """What to start with. Waits once for what has just been written: most of it will be whole by then."""
        with self._looking:
            looks = self._watcher.look(wanted)
            due_s = self._watcher.due_s
        if due_s is None or self._stopped.wait(due_s):
            return looks
        names = {model.name for model in wanted}
        with self._looking:
            return self._watcher.look([model for model in scan(self._root, allow_empty=True) if model.name in names])

    def _bring_up(self, looks: Collection[Look], *, starting: bool = False) -> None:
        """Models side by side; those that run other models after these."""
        waves: tuple[list[Look], list[Look]] = ([], [])
        for look in looks:
            waves[look.found is not None and bool(runs_model(look.found))].append(look)
        for wave in waves:
            run_side_by_side(
                [functools.partial(self._lifecycle(look.name).bring_up, look, starting=starting) for look in wave],
                "models",
            )

    def _lifecycle(self, name: str) -> ModelLifecycle:
        new = ModelLifecycle(name, self._catalogue, self._load_version, self._on_change, self._observer)
        return self._lifecycles.setdefault(name, new)

    def _load_version(self, model: DesiredModel, number: int) -> Loaded:
        limits = self._options.limits
        if model.is_suppression:
            return load_suppression(model, number, self.acquire, self._pool, limits)
        if model.is_detection:
            return load_detection(model, number, self.acquire, self._pool, limits)
        folder = model.versions[number]
        before = mark_files(folder)
        with self._room:
            loaded = load_raw(
                model,
                number,
                folder,
                self._loaders,
                self._cpu_threads,
                self._pool,
                limits,
                lambda execution: self._observer.executed(model.name, number, execution),
                self._budget,
                self._options.cache_folder,
                self._options.isolation,
                lambda: self._on_change(model.name),
            )
        if mark_files(folder) != before:
            loaded.servable.close()
            raise FilesChanged("its files changed while they were loaded; it is tried again at the next look")
        return replace(loaded, quality=read_quality(folder))

    def _bring_up_one(self, found: ModelOnDisk) -> Look:
        """For the control: one model as it is found now; what failed before is tried again."""
        with self._looking:
            look = self._watcher.look_at(found)
        self._lifecycle(found.name).bring_up(look, again=True)
        return look

    def _withdraw(self, name: str) -> None:
        """For the control: a model leaves, and stays in the index by its name."""
        self._lifecycle(name).withdraw(_NEVER_LOADED)
