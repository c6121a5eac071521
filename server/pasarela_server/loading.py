"""The models of a server, on their way up before there is a port or an event loop.

Reading a compiled model keeps a core busy without Python, and importing what speaks to clients keeps Python busy: a
start does both at the same time. So nothing here may import `rpc` or gRPC.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2

from pasarela_server.backends.base import BackendLoader, PreparedLoader
from pasarela_server.backends.isolation.process_log import ProcessLog
from pasarela_server.backends.loaders import loaders
from pasarela_server.config.server import ServerConfig
from pasarela_server.config.tracing import plan_tracing
from pasarela_server.observability.logging import log_settings
from pasarela_server.observability.metrics import Metrics
from pasarela_server.observability.statistics import Statistics
from pasarela_server.observability.tracing import Tracer, TraceSettings
from pasarela_server.repository.control import ControlMode
from pasarela_server.repository.isolation import PARAMETER, Isolation, IsolationMode
from pasarela_server.repository.manager import ManagerOptions, ModelManager
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.scan import ModelOnDisk, scan


class LoadingModels:
    """The manager of the models with what it reports to, and the thread that loads what is there at the start."""

    def __init__(self, config: ServerConfig) -> None:
        """Builds everything; `start` does the work."""
        self._config = config
        self.tracing = plan_tracing(config.trace_file, config.trace_config, os.environ)
        """What to do about traces; sending them is the app's."""
        settings: Any = self.tracing.settings
        self.tracer = Tracer(self.tracing.file, TraceSettings(**settings))
        self.metrics = Metrics(statistics=Statistics(), listeners=[self.tracer.request])
        self.images = ThreadPoolExecutor(config.cpu_threads, thread_name_prefix="images")
        """Runs the work on pixels."""
        self.process_log = ProcessLog(log_settings(config.log_verbose, config.log_format).to_text())
        """What the processes of models log."""
        self.manager = ModelManager(
            config.model_repository,
            loaders(),
            self.images,
            config.cpu_threads,
            on_change=lambda _: self._changed(),
            options=ManagerOptions(
                control=ControlMode(config.model_control_mode),
                load_models=config.load_model,
                settle_s=config.repository_settle_secs,
                load_threads=config.model_load_thread_count,
                allow_empty=config.allow_empty_repository,
                strict_readiness=config.strict_readiness,
                limits=ImageLimits(max_pixels=config.max_image_pixels),
                busy_cores=config.cpu_threads if config.busy_cores is None else config.busy_cores or None,
                cache_folder=config.model_cache,
                isolation=Isolation(
                    mode=IsolationMode(config.isolation),
                    timeout_s=config.inference_timeout_secs or None,
                    log=self.process_log,
                ),
            ),
            observer=self.metrics,
        )
        self._lock = threading.Lock()
        self._follower: tuple[asyncio.AbstractEventLoop, Callable[[], None], asyncio.Future[None]] | None = None
        self._over = self._closed = False
        self._error: Exception | None = None

    def start(self) -> None:
        """Loads all models, on a thread that does not hold the process back when it ends.

        Raises:
            InvalidModel: The repository itself is missing, unreadable, or empty although that is not allowed.
        """
        config = self._config
        cv2.setNumThreads(1)  # images are spread over the pool's threads already
        explicit = config.model_control_mode == ControlMode.EXPLICIT.value
        models = scan(config.model_repository, allow_empty=config.allow_empty_repository or explicit)
        # What comes next, on the caller's thread, keeps the interpreter busy. The first model would have to take turns
        # with it until its framework is imported, and needs the interpreter no more after that.
        if config.isolation == IsolationMode.NONE.value:
            prepare(
                first_loader([each for each in models if not explicit or each.name in config.load_model], loaders())
            )
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def close(self, timeout_s: float) -> None:
        """Unloads everything. Blocks for at most about `timeout_s` while something is being loaded."""
        self.manager.close(timeout_s)
        if not self.manager.loading:
            self.images.shutdown()
            self._closed = True

    @property
    def busy(self) -> bool:
        """Whether something was, or may be, still on its way up when the server ended: `close` did not get through."""
        return not self._closed

    def follow(self, on_change: Callable[[], None]) -> asyncio.Future[None]:
        """From now on the event loop that runs hears of each change of a model's state; once, for one loop.

        Args:
            on_change: Called on the loop.

        Returns:
            Is done when all models are loaded, or failed with what `load_all` raised.
        """
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._follower = loop, on_change, loaded
            over = self._over
        if over:
            _resolve(loaded, self._error)
        return loaded

    def _load(self) -> None:
        error: Exception | None = None
        try:
            self.manager.load_all()
        except Exception as raised:  # noqa: BLE001 - whatever it is, the event loop must hear of it
            error = raised
        with self._lock:
            self._error, self._over = error, True
            follower = self._follower
        if follower is not None:
            _post(follower[0], _resolve, follower[2], error)

    def _changed(self) -> None:
        follower = self._follower
        if follower is not None:
            _post(follower[0], follower[1])


def first_loader(models: Iterable[ModelOnDisk], known: Mapping[str, BackendLoader]) -> PreparedLoader | None:
    """The loader of the first model that is going to be loaded into this process, as far as names of files tell."""
    by_artefact = {each.artefact: each for each in known.values() if isinstance(each, PreparedLoader)}
    for model in models:
        if model.versions and PARAMETER not in (model.config_text or ""):
            newest = model.versions[max(model.versions)]
            found = next((loader for name, loader in by_artefact.items() if (newest / name).is_file()), None)
            if found is not None:
                return found
    return None


def prepare(loader: PreparedLoader | None) -> None:
    """Imports a framework, if it can be: what is wrong with it is said by the models that need it."""
    if loader is not None:
        with contextlib.suppress(Exception):  # not only ImportError: libraries that are missing raise what they like
            loader.prepare()


def _resolve(loaded: asyncio.Future[None], error: Exception | None) -> None:
    if loaded.done():
        return
    if error is None:
        loaded.set_result(None)
    else:
        loaded.set_exception(error)


def _post(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    """Runs a call on the event loop, from any thread; a loop that has ended has no use for it."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)
