"""A server of one's own for the time of a load test."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

STOP_S: Final = 15.0
"""How long a server may take to drain before it is killed."""

_LOOK_S: Final = 0.5
"""How often a wait looks whether the process is still there."""

_SAYS_S: Final = 2.0
"""A server that is ready has said where its metrics are, or says it within this time."""

_METRICS: Final = re.compile(r"http://\S+:\d+/metrics")

_RECONNECT: Final = tuple((f"grpc.{name}_reconnect_backoff_ms", 20) for name in ("initial", "min", "max"))
"""A server that has just bound its port is found within these milliseconds."""


class ServerDidNotStart(Exception):
    """There is no server to test; the message says why, and where its log is."""


@dataclass(frozen=True, slots=True)
class StartedServer:
    """A server process that is ready."""

    url: str
    """host:port of gRPC."""
    pid: int
    ready_s: float
    """From the start of the process until its health said that it serves."""
    metrics_url: str = ""
    """http://host:port/metrics; empty if it does not say where they are."""


@contextlib.contextmanager
def running_server(repository: Path, log: Path, *, ready_s: float = 180.0) -> Iterator[str]:
    """Serves all models of a repository on a free port; yields the address. See `started_server`.

    Raises:
        ServerDidNotStart: It ended, or was not ready in time.
    """
    with started_server(repository, log, ready_s=ready_s) as server:
        yield server.url


@contextlib.contextmanager
def started_server(
    repository: Path,
    log: Path,
    flags: Sequence[str] = (),
    *,
    ready_s: float = 180.0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[StartedServer]:
    """Starts a server on a free port, yields it once it is ready, and stops it.

    Args:
        repository: The model repository that it serves.
        log: File for all that it prints.
        flags: More of its flags.
        ready_s: Longest wait for its readiness; loading and warming models takes its time.
        environment: Its variables; None for those of this process.

    Raises:
        ServerDidNotStart: It ended, or was not ready in time.
    """
    url = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "pasarela_server", "--model-repository", str(repository)]
    command += ["--grpc-address", "127.0.0.1", "--grpc-port", url.rpartition(":")[2], "--metrics-port", "0", *flags]
    with process_until_left(command, log, environment) as (process, begun_s):
        if not wait_until_ready(url, ready_s, process):
            raise ServerDidNotStart(_why(process, log, ready_s))
        ready_after_s = time.monotonic() - begun_s
        yield StartedServer(url, process.pid, ready_after_s, metrics_address(log))


@contextlib.contextmanager
def process_until_left(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Runs a program until the block is left, then stops it in good order.

    Yields:
        The process, and when it was started (monotonic).
    """
    with log.open("wb") as output:
        begun_s = time.monotonic()
        # A session of its own: Ctrl-C reaches the load test alone, which then stops the server in good order.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environment
        )
        try:
            yield process, begun_s
        finally:
            _stop(process)


def wait_until_ready(url: str, ready_s: float, process: subprocess.Popen[bytes] | None = None) -> bool:
    """Watches grpc health until the server serves, `ready_s` have passed or its process ended."""
    until_s = time.monotonic() + ready_s
    with grpc.insecure_channel(url, options=_RECONNECT) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < until_s and (process is None or process.poll() is None):
            begun_s = time.monotonic()
            try:
                states = health.Watch(health_pb2.HealthCheckRequest(), timeout=_LOOK_S, wait_for_ready=True)
                if any(state.status == health_pb2.HealthCheckResponse.SERVING for state in states):
                    states.cancel()
                    return True
            except grpc.RpcError:
                # Whatever it is but the time that is up, it may come back at once.
                time.sleep(max(0.0, min(_LOOK_S / 5, begun_s + _LOOK_S - time.monotonic())))
    return False


def metrics_address(log: Path) -> str:
    """Where a server that is ready has its metrics, by what it printed; empty if it did not say so in time."""
    until_s = time.monotonic() + _SAYS_S
    while time.monotonic() < until_s:
        if found := _METRICS.search(log.read_text(errors="replace")):
            return found[0]
        time.sleep(_LOOK_S / 10)
    return ""


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _why(process: subprocess.Popen[bytes], log: Path, ready_s: float) -> str:
    if process.poll() is None:
        return f"the server was not ready within {ready_s:.0f} s ({log})"
    return f"the server ended with code {process.returncode} before it was ready: {last_line(log)}"


def last_line(log: Path) -> str:
    """What a process said last, for messages."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} ({log})" if lines else f"it said nothing ({log})"
