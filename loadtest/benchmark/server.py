"""What clients of a running server get."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


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
