"""A server of one's own for the time of a load test."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

STOP_S: Final = 15.0
"""How long a server may take to drain before it is killed."""


class ServerDidNotStart(Exception):
    """There is no server to test; the message says why, and where its log is."""


@contextlib.contextmanager
def running_server(repository: Path, log: Path, *, ready_s: float = 180.0) -> Iterator[str]:
    """Starts a server on a free port, yields its address once it is ready, and stops it.

    Args:
        repository: The model repository that it serves.
        log: File for all that it prints.
        ready_s: Longest wait for its readiness; loading and warming models takes its time.

    Raises:
        ServerDidNotStart: It ended, or was not ready in time.
    """
    url = f"127.0.0.1:{_free_port()}"
    command = [sys.executable, "-m", "pasarela_server", "--model-repository", str(repository)]
    command += ["--grpc-address", "127.0.0.1", "--grpc-port", url.rpartition(":")[2], "--metrics-port", "0"]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the load test alone, which then stops the server in good order.
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            if not wait_until_ready(url, ready_s, process):
                raise ServerDidNotStart(
                    f"the server was not ready within {ready_s:.0f} s"
                    if process.poll() is None
                    else f"the server ended with code {process.returncode} before it was ready: {_last_line(log)}"
                )
            yield url
        finally:
            _stop(process)


def wait_until_ready(url: str, ready_s: float, process: subprocess.Popen[bytes] | None = None) -> bool:
    """Asks grpc health until the server serves, `ready_s` have passed or its process ended."""
    until_s = time.monotonic() + ready_s
    with grpc.insecure_channel(url, options=(("grpc.max_reconnect_backoff_ms", 500),)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < until_s and (process is None or process.poll() is None):
            with contextlib.suppress(grpc.RpcError):
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=2)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return True
            time.sleep(0.2)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} (all of it in {log})" if lines else f"it said nothing ({log})"
