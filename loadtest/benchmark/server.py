"""What clients of a running server get."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerRate:
    """What closed-loop clients on this machine got."""

    images_per_second: float
    """Of all clients together."""
    p50_ms: float
    p99_ms: float
    client_cores: float
    """Cores that the clients themselves kept busy, and that the server therefore did not have."""


def server_rate(url: str, model: str, clients: int, seconds: float, images: Sequence[Path]) -> ServerRate:
    """Drives the server for some seconds with clients in a process of their own."""
    command = [sys.executable, "-m", "loadtest.benchmark.clients", url, model, str(clients), str(seconds)]
    printed = subprocess.run([*command, *map(str, images)], capture_output=True, text=True, check=True).stdout
    answer = json.loads(printed)
    latencies = answer["latencies_ms"]
    p50, p99 = (float(latencies[min(len(latencies) - 1, len(latencies) * p // 100)]) for p in (50, 99))
    return ServerRate(float(answer["images_per_second"]), p50, p99, float(answer["cores"]))
