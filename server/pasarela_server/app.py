"""The one place that builds and wires: settings in, a running server out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import platform
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import grpc

import pasarela_server.detection.pillow  # noqa: F401 - now, not when the first PNG comes
from pasarela_server.backends.cuda import find_cuda_memory
from pasarela_server.config.plan import DETECTION
from pasarela_server.config.server import ServerConfig
from pasarela_server.errors import InvalidModel
from pasarela_server.frontends.desk import Desks
from pasarela_server.frontends.sizing import has_gpu, image_threads, suggested_count
from pasarela_server.frontends.supervise import FrontOptions, Fronts, FrontsUnavailable
from pasarela_server.loading import LoadingModels
from pasarela_server.observability.exposition import CONTENT_TYPE, Exposition, Now
from pasarela_server.observability.http import MetricsServer, Page, text_page
from pasarela_server.observability.logging import LogControl, LogSettings, apply_log_settings, log_settings
from pasarela_server.observability.otlp import TracingUnavailable, export_spans
from pasarela_server.observability.request_log import RequestLog
from pasarela_server.observability.startup import ModelLine, StartupReport, next_command
from pasarela_server.processes import event_loop
from pasarela_server.repository.control import ControlMode
from pasarela_server.repository.manager import ModelManager
from pasarela_server.repository.poll import Poller
from pasarela_server.repository.readiness import IndexEntry
from pasarela_server.repository.servable import UNLOADED, State
from pasarela_server.rpc.address import PortUnavailable, authority
from pasarela_server.rpc.callers import read_caller, untraced
from pasarela_server.rpc.calls import OpenCalls
from pasarela_server.rpc.detection import DetectionService
from pasarela_server.rpc.health import HealthService, health_states
from pasarela_server.rpc.inference import InferenceService
from pasarela_server.rpc.protection import Protection, protect
from pasarela_server.rpc.repository import RepositoryCalls
from pasarela_server.rpc.server import SERVICES, build_server, listen
from pasarela_server.rpc.settings import SettingsCalls
from pasarela_server.rpc.shared_memory import SharedMemoryCalls
from pasarela_server.rpc.status import FailureTable, status_codes
from pasarela_server.scheduling.instance import executing
from pasarela_server.security.files import UnusableFile
from pasarela_server.security.settings import SecuritySettings

_log = logging.getLogger("pasarela_server")

_SAMPLE = Path("docs/images/samples/1.jpg")

_LAST_BYTES_S = 2.0
"""How long the last responses may take to leave when every request has been answered."""


def run(config: ServerConfig, loading: LoadingModels) -> int:
    """Serves until SIGTERM or Ctrl-C, then drains. A second signal ends the process at once.

    Args:
        config: The settings.
        loading: The models, started.

    Returns:
        0 after an orderly stop; 1, with one line on stderr, if the server could not start.
    """
    try:
        event_loop.run(_serve(config, loading))
        code = 0
    except (InvalidModel, PortUnavailable, FrontsUnavailable, UnusableFile, TracingUnavailable) as error:
        sys.stderr.write(f"pasarela-server: error: {error}\n")
        code = 1
    if loading.busy or executing():
        # A model that is still being loaded or executed cannot be interrupted, and nobody waits for it any more.
        if code == 0:
            _log.info("stopped while models were still being loaded or executed")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


async def _serve(config: ServerConfig, loading: LoadingModels) -> None:
    """Builds, serves, drains. What is still being loaded then, `loading` says."""
    async with contextlib.AsyncExitStack() as left:
        await _serve_with(left, config, loading)


async def _serve_with(left: contextlib.AsyncExitStack, config: ServerConfig, loading: LoadingModels) -> None:
    """The same; what would outlive a start or a stop that fails is put into `left`, and is ended when that is."""
    protection = protect(config)
    if protection.settings.certificates is not None:
        loading.metrics.certificate(protection.expires_s)
    loop = asyncio.get_running_loop()
    stop = _stop_signal(loop)
    models, metrics, tracer = loading.manager, loading.metrics, loading.tracer
    failures, calls, health = _failures(config), OpenCalls(metrics.stream_changed), HealthService()
    metrics.build(version=_version(), grpc=grpc.__version__, python=platform.python_version())
    metrics.listen(RequestLog(failures.status_name).request)
    _send_traces(loading, failures)
    callers = read_caller if tracer.sends else untraced

    def publish_health() -> None:
        states = health_states(models, SERVICES)
        health.publish(states if _listens(fronts) else dict.fromkeys(states, False))

    def ready() -> bool:
        return _listens(fronts) and _ready(models, calls)

    fronts = _fronts(config, protection.settings, Desks(models, metrics, failures), traced=tracer.sends)
    if fronts is not None:
        left.push_async_callback(fronts.close, 0.0)
    server = build_server(
        InferenceService(
            models,
            calls,
            metrics,
            _version(),
            repository=RepositoryCalls(models, models.control),
            shared_memory=SharedMemoryCalls(find_cuda_memory(), allowed=config.allow_shared_memory),
            settings=SettingsCalls(
                models, LogControl(_log_settings(config), functools.partial(_change_log, fronts, loading)), tracer
            ),
            failures=failures,
            callers=callers,
        ),
        DetectionService(models, calls, metrics, failures, callers=callers),
        health,
        failures,
        config.grpc_max_message_bytes,
        protection if fronts is None else None,
    )
    exposition = Exposition(metrics)
    pages = _metrics_pages(config, lambda: exposition.text(_now(models, ready=ready())), ready)
    if fronts is None:
        grpc_port = listen(server, config.grpc_address, config.grpc_port, protection.credentials())
    else:
        grpc_port = fronts.listen(server)
    await server.start()
    left.push_async_callback(server.stop, None)
    protection.follow()
    if pages is not None:
        pages.start()
    poller = Poller(models.poll, config.repository_poll_secs)
    loaded = loading.follow(publish_health)
    publish_health()
    if fronts is not None:
        await _start(fronts, stop)
        publish_health()
    _freeze_memory()
    await asyncio.wait((stop, loaded), return_when=asyncio.FIRST_COMPLETED)
    if loaded.done():
        loaded.result()
        _freeze_memory()
        publish_health()
        report = _report(config, models, grpc_port, None if pages is None else pages.port, protection)
        sys.stdout.write(report.text())
        sys.stdout.flush()
        if config.model_control_mode == ControlMode.POLL.value:
            poller.start()
    await stop
    protection.close()
    await _drain(server, calls, health, fronts, config.exit_timeout_secs)
    await asyncio.to_thread(tracer.close)
    if pages is not None:
        pages.close()
    if loaded.done() and await asyncio.to_thread(poller.stop, _LAST_BYTES_S):
        await _close(loading)


async def _close(loading: LoadingModels) -> None:
    """Unloads everything; what is executed and does not end is left to the end of the process.

    Not on a thread of the event loop's pool: its end would be waited for.
    """
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        loading.close(_LAST_BYTES_S)
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=close, name="close", daemon=True).start()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closed.wait(), 2 * _LAST_BYTES_S)


def _fronts(config: ServerConfig, security: SecuritySettings, desks: Desks, *, traced: bool) -> Fronts | None:
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
        log=_log_settings(config),
        traced=traced,
        security=security,
    )
    return Fronts(options, desks)


async def _start(fronts: Fronts, stop: asyncio.Future[None]) -> None:
    """Starts the fronts; a signal to stop is not kept waiting by one that does not get ready.

    Raises:
        FrontsUnavailable: One does not start.
    """
    starting = asyncio.create_task(fronts.start())
    await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
    else:
        starting.cancel()
        await asyncio.wait((starting,))


def _listens(fronts: Fronts | None) -> bool:
    """Whether clients reach the server: without fronts it listens before anybody asks."""
    return fronts is None or fronts.listening


def _log_settings(config: ServerConfig) -> LogSettings:
    return log_settings(config.log_verbose, config.log_format)


def _change_log(fronts: Fronts | None, loading: LoadingModels, settings: LogSettings) -> None:
    apply_log_settings(settings)
    loading.process_log.change(settings.to_text())
    if fronts is not None:
        fronts.change_log(settings)


def _now(models: ModelManager, *, ready: bool) -> Now:
    """How the server is, for its metrics."""
    known = [
        (each.name, each.version, each.state is State.READY)
        for each in models.index()
        if each.version is not None and each.state is not State.UNKNOWN and each.reason != UNLOADED
    ]
    return Now(ready, known, models.waiting())


def _ready(models: ModelManager, calls: OpenCalls) -> bool:
    return not calls.stopping and models.ready()


def _version() -> str:
    return metadata.version("pasarela-server")


def _send_traces(loading: LoadingModels, failures: FailureTable) -> None:
    """Begins to send traces, if they are to be sent.

    Raises:
        TracingUnavailable: They were asked for by a flag, and the packages for it are not here.
    """
    plan = loading.tracing
    if not plan.export:
        return
    try:
        loading.tracer.send(
            export_spans(plan.url, {"service.version": _version(), **plan.resource}, failures.status_name)
        )
    except TracingUnavailable as error:
        if plan.required:
            raise
        _log.warning("no traces are sent, although a variable of OpenTelemetry names a collector: %s", error)


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


def _freeze_memory() -> None:
    """Takes what is there now out of the garbage collector's rounds: it stays to the end.

    Once while models are being loaded, when nobody waits for the interpreter, and then for what came with them, which
    is little. The collector has been off since the start of the process: there is no garbage in imports.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


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


def _report(
    config: ServerConfig, models: ModelManager, grpc_port: int, metrics_port: int | None, protection: Protection
) -> StartupReport:
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
        protection=protection.describe(),
        metrics=None if metrics_port is None else authority(config.metrics_address, metrics_port),
        try_command=next_command(_client(), _sample(), detectors, config.grpc_address, grpc_port)
        + protection.client_flags(),
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
