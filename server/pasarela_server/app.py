"""The one place that builds and wires: settings in, a running server out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import cv2
import grpc

from pasarela_server.backends.cuda import find_cuda_memory
from pasarela_server.backends.loaders import loaders
from pasarela_server.config.plan import DETECTION
from pasarela_server.config.server import ServerConfig
from pasarela_server.errors import InvalidModel
from pasarela_server.frontends.desk import Desks
from pasarela_server.frontends.sizing import has_gpu, image_threads, suggested_count
from pasarela_server.frontends.supervise import FrontOptions, Fronts, FrontsUnavailable
from pasarela_server.observability.http import MetricsServer, Page, text_page
from pasarela_server.observability.logging import LogControl
from pasarela_server.observability.metrics import CONTENT_TYPE, Metrics
from pasarela_server.observability.startup import ModelLine, StartupReport, next_command
from pasarela_server.observability.statistics import Statistics
from pasarela_server.observability.tracing import Tracer
from pasarela_server.repository.control import ControlMode
from pasarela_server.repository.manager import ManagerOptions, ModelManager
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.poll import Poller
from pasarela_server.repository.readiness import IndexEntry
from pasarela_server.repository.scan import scan
from pasarela_server.repository.servable import State
from pasarela_server.rpc.address import PortUnavailable, authority
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection import DetectionService
from pasarela_server.rpc.health import HealthService, health_states
from pasarela_server.rpc.inference import InferenceService
from pasarela_server.rpc.repository import RepositoryCalls
from pasarela_server.rpc.server import SERVICES, build_server, listen
from pasarela_server.rpc.settings import SettingsCalls
from pasarela_server.rpc.shared_memory import SharedMemoryCalls
from pasarela_server.rpc.status import FailureTable, status_codes

_log = logging.getLogger("pasarela_server")

_SAMPLE = Path("docs/images/samples/1.jpg")

_LAST_BYTES_S = 2.0
"""How long the last responses may take to leave when every request has been answered."""


def run(config: ServerConfig) -> int:
    """Serves until SIGTERM or Ctrl-C, then drains. A second signal ends the process at once.

    Returns:
        0 after an orderly stop; 1, with one line on stderr, if the server could not start.
    """
    cv2.setNumThreads(1)  # images are spread over the pool's threads already
    try:
        explicit = config.model_control_mode == ControlMode.EXPLICIT.value
        scan(config.model_repository, allow_empty=config.allow_empty_repository or explicit)
        loading = asyncio.run(_serve(config))
    except (InvalidModel, PortUnavailable, FrontsUnavailable) as error:
        sys.stderr.write(f"pasarela-server: error: {error}\n")
        return 1
    if loading:
        # A model that is still being loaded cannot be interrupted, and nobody waits for it any more.
        _log.info("stopped while models were still being loaded")
        logging.shutdown()
        os._exit(0)
    return 0


async def _serve(config: ServerConfig) -> bool:
    """Builds, serves, drains.

    Returns:
        True if models were still being loaded when the server was stopped.
    """
    loop = asyncio.get_running_loop()
    stop = _stop_signal(loop)
    statistics, tracer = Statistics(), Tracer(config.trace_file)
    metrics = Metrics(statistics=statistics, listeners=[tracer.request])
    failures, calls, health = _failures(config), OpenCalls(), HealthService()
    images = ThreadPoolExecutor(config.cpu_threads, thread_name_prefix="images")

    def publish_health() -> None:
        health.publish(health_states(models, SERVICES))

    models = ModelManager(
        config.model_repository,
        loaders(),
        images,
        config.cpu_threads,
        on_change=lambda _: _post(loop, publish_health),
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
        ),
        observer=metrics,
    )
    server = build_server(
        InferenceService(
            models,
            calls,
            metrics,
            metadata.version("pasarela-server"),
            repository=RepositoryCalls(models, models.control),
            shared_memory=SharedMemoryCalls(find_cuda_memory(), allowed=config.allow_shared_memory),
            settings=SettingsCalls(models, LogControl(config.log_verbose), tracer),
            failures=failures,
        ),
        DetectionService(models, calls, metrics, failures),
        health,
        failures,
        config.grpc_max_message_bytes,
    )
    pages = _metrics_pages(
        config, lambda: metrics.exposition(models.waiting()), lambda: not calls.stopping and models.ready()
    )
    fronts = _fronts(config, Desks(models, metrics, failures))
    grpc_port = listen(server, config.grpc_address, config.grpc_port) if fronts is None else fronts.listen(server)
    await server.start()
    if pages is not None:
        pages.start()
    poller = Poller(models.poll, config.repository_poll_secs)
    loaded = _load(models, loop)
    if fronts is not None:
        try:
            await fronts.start()
        except FrontsUnavailable:
            await server.stop(None)
            raise
    await asyncio.wait((stop, loaded), return_when=asyncio.FIRST_COMPLETED)
    if loaded.done():
        loaded.result()
        _freeze_memory()
        publish_health()
        sys.stdout.write(_report(config, models, grpc_port, None if pages is None else pages.port).text())
        sys.stdout.flush()
        if config.model_control_mode == ControlMode.POLL.value:
            poller.start()
    await stop
    await _drain(server, calls, health, fronts, config.exit_timeout_secs)
    await asyncio.to_thread(tracer.close)
    if pages is not None:
        pages.close()
    if not loaded.done():
        return True
    if not await asyncio.to_thread(poller.stop, _LAST_BYTES_S):
        return True
    await asyncio.to_thread(models.close, _LAST_BYTES_S)
    if models.loading:
        return True
    images.shutdown()
    return False


def _fronts(config: ServerConfig, desks: Desks) -> Fronts | None:
    """The processes before this one, not started yet; None if it listens itself."""
    count = config.frontends
    if count is None:
        count = suggested_count(config.cpu_threads, has_gpu=has_gpu())
    if not count:
        return None
    options = FrontOptions(
        count=count,
        address=config.grpc_address,
        port=config.grpc_port,
        max_message_bytes=config.grpc_max_message_bytes,
        queue_full_status=config.queue_full_status,
        image_threads=image_threads(config.cpu_threads, count),
        log_verbose=config.log_verbose,
    )
    return Fronts(options, desks)


def _failures(config: ServerConfig) -> FailureTable:
    return FailureTable(status_codes(queue_full=grpc.StatusCode[config.queue_full_status.upper()]))


async def _drain(
    server: grpc.aio.Server, calls: OpenCalls, health: HealthService, fronts: Fronts | None, timeout_s: float
) -> None:
    """Says that the server is going, refuses new requests, and lets open ones finish in the time there is."""
    health.stop()
    calls.stop()
    open_ones = [calls.wait_idle()]
    if fronts is not None:
        fronts.stop()
        open_ones.append(fronts.wait_idle())
    _log.info("stopping; open requests: %d", len(calls))
    grace_s: float | None = _LAST_BYTES_S
    try:
        await asyncio.wait_for(asyncio.gather(*open_ones), timeout_s)
    except TimeoutError:
        _log.warning("open requests after %g s, cancelled now: %d", timeout_s, len(calls))
        grace_s = None
    health.close()
    if fronts is not None:
        await fronts.close(grace_s or 0.0)
    await server.stop(grace_s)
    _log.info("stopped")


def _stop_signal(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """A future that the first SIGTERM or Ctrl-C resolves; the second ends the process."""
    stop: asyncio.Future[None] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if stop.done():
            os._exit(128 + number)
        stop.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def _load(models: ModelManager, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """Loads all models, on a thread that does not hold the process back when it ends."""
    loaded: asyncio.Future[None] = loop.create_future()

    def load() -> None:
        try:
            models.load_all()
        except Exception as error:  # noqa: BLE001 - whatever it is, the event loop must hear of it
            _post(loop, loaded.set_exception, error)
        else:
            _post(loop, loaded.set_result, None)

    threading.Thread(target=load, name="load", daemon=True).start()
    return loaded


def _freeze_memory() -> None:
    """Takes what is there now, models and frameworks, out of the garbage collector's rounds: it stays to the end."""
    gc.collect()
    gc.freeze()


def _metrics_pages(
    config: ServerConfig, exposition: Callable[[], bytes], ready: Callable[[], bool]
) -> MetricsServer | None:
    """The metrics port, bound; None if it is switched off.

    Raises:
        PortUnavailable: The port cannot be had.
    """
    if not config.allow_metrics:
        return None
    try:
        return MetricsServer(
            config.metrics_address,
            config.metrics_port,
            {
                "/metrics": lambda: Page(200, CONTENT_TYPE, exposition()),
                "/healthz": lambda: text_page("alive"),
                "/readyz": lambda: text_page("ready") if ready() else text_page("not ready", ok=False),
            },
        )
    except OSError as error:
        raise PortUnavailable(config.metrics_address, config.metrics_port, "--metrics-port", error) from error


def _post(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    """Runs a call on the event loop, from any thread; a loop that has ended has no use for it."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


def _report(config: ServerConfig, models: ModelManager, grpc_port: int, metrics_port: int | None) -> StartupReport:
    entries = models.index()
    ready = [entry for entry in entries if entry.state is State.READY]
    descriptions: dict[IndexEntry, str] = {}
    detectors = []
    for entry in ready:
        with models.acquire(entry.name, entry.version) as handle:
            descriptions[entry] = handle.servable.description
            if handle.servable.config.backend == DETECTION:
                detectors.append(entry.name)
    return StartupReport(
        models=[_line(entry, descriptions.get(entry, entry.reason)) for entry in entries],
        grpc=authority(config.grpc_address, grpc_port),
        metrics=None if metrics_port is None else authority(config.metrics_address, metrics_port),
        try_command=next_command(_client(), _sample(), detectors, config.grpc_address, grpc_port),
    )


def _client() -> str:
    """The client's command as it can be typed here."""
    beside = Path(sys.executable).with_name("pasarela")
    if shutil.which("pasarela") or not beside.exists():
        return "pasarela"
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)


def _sample() -> str:
    """A picture to try: the project's own, where the server was started from a checkout."""
    return str(_SAMPLE) if _SAMPLE.is_file() else "<image>"


def _line(entry: IndexEntry, description: str) -> ModelLine:
    version = "-" if entry.version is None else str(entry.version)
    if entry.state is State.UNKNOWN:
        return ModelLine(entry.name, version, "-", "not loaded; clients load it with RepositoryModelLoad")
    return ModelLine(entry.name, version, entry.state.value, description)
