"""A server of our own for the time of a measurement, and clients against it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

START_TIMEOUT_S = 120


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(repository: Path) -> Iterator[str]:
    """Starts `python -m pasarela_server`, waits until it is ready, yields its address and stops it."""
    url = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "pasarela_server", "--model-repository", str(repository)]
    command += ["--grpc-address", "127.0.0.1", "--grpc-port", url.rpartition(":")[2], "--allow-metrics", "false"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_serving(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_serving(url: str, process: subprocess.Popen[bytes]) -> None:
    with grpc.insecure_channel(url) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        give_up = time.monotonic() + START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < give_up:
            try:
                status = health.Check(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True).status
            except grpc.RpcError:
                continue
            if status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(0.1)
    raise SystemExit("the server did not become ready; run it by hand to see why: make serve")


def server_rate(
    url: str, model: str, clients: int, seconds: float, images: Sequence[Path]
) -> tuple[float, dict[str, float]]:
    """Images per second that `clients` closed-loop clients get together, and their latency percentiles in ms."""
    command = [sys.executable, "-m", "loadtest.benchmark.clients", url, model, str(clients), str(seconds)]
    printed = subprocess.run([*command, *map(str, images)], capture_output=True, text=True, check=True).stdout
    answer = json.loads(printed)
    latencies = answer["latencies_ms"]
    percentiles = {f"p{p}": latencies[min(len(latencies) - 1, len(latencies) * p // 100)] for p in (50, 90, 99)}
    return float(answer["images_per_second"]), percentiles
