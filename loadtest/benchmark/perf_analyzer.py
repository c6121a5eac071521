"""NVIDIA's perf_analyzer as a load generator: the command, and what it printed.

It ends when three windows agree; told that any do, it takes exactly three. In the first of them the load only begins,
and the first answers are still to come: the rate is that of the others.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtest.benchmark.child import ChildFailed

_WINDOWS = 3
_TRIES = 5
_MAKE_PEERS = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "pasarela-peers/perf_analyzer/run"


class WindowTooShort(ChildFailed):
    """No answer came within a window, or the windows had nothing in common."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator got."""

    per_second: float
    p50_ms: float
    p99_ms: float
    client_cores: float
    """Cores that the generator itself kept busy, and that the server therefore did not have."""


def find_perf_analyzer() -> str | None:
    """Where it is: `PASARELA_PERF_ANALYZER`, else where `make peers` puts it, else the PATH."""
    named = os.environ.get("PASARELA_PERF_ANALYZER")
    return shutil.which(named) if named else shutil.which(_MAKE_PEERS.expanduser()) or shutil.which("perf_analyzer")


def perf_analyzer_command(
    tool: str, url: str, model: str, clients: int, seconds: float, shapes: Mapping[str, str], shared_bytes: int = 0
) -> list[str]:
    """The command line of one measurement.

    Args:
        tool: The program.
        url: host:port of gRPC.
        model: A model that takes FP32 tensors.
        clients: Requests under way at any time.
        seconds: How long to measure.
        shapes: By input name, for inputs whose size varies: `3,640,640`.
        shared_bytes: Size of the answers; if given, tensors go through the system's shared memory.
    """
    command = [tool, "-m", model, "-i", "grpc", "-u", url, "--input-data", "zero"]
    command += ["--concurrency-range", str(clients), "-p", str(max(1, round(seconds * 1000 / _WINDOWS)))]
    command += ["-s", "999", "-r", str(_WINDOWS), "-v"]
    for name, shape in shapes.items():
        command += ["--shape", f"{name}:{shape}"]
    if shared_bytes:
        command += ["--shared-memory", "system", "--output-shared-memory-size", str(shared_bytes)]
    return command


def run_perf_analyzer(command: list[str]) -> Load:
    """Runs it; with longer windows where these were too short.

    Raises:
        ChildFailed: It did not get as far as a figure.
    """
    position = command.index("-p") + 1
    for _ in range(_TRIES):
        try:
            return _run(command)
        except WindowTooShort:
            command = [*command[:position], str(2 * int(command[position])), *command[position + 1 :]]
    return _run(command)


def _run(command: list[str]) -> Load:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after, elapsed = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return parse_perf_analyzer(done.stdout, done.stderr, busy / elapsed)


def parse_perf_analyzer(printed: str, errors: str, client_cores: float) -> Load:
    """Its figures.

    Raises:
        ChildFailed: They are not in what it printed.
    """
    rates = [float(rate) for rate in re.findall(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec", printed)]
    p50, p99 = (re.search(rf"p{part} latency: (\d+) usec", printed) for part in (50, 99))
    if "larger time window" in printed + errors:
        raise WindowTooShort("perf_analyzer got no answer within a window; measure longer")
    if not p50 and "Failed to obtain stable measurement" in printed + errors:
        raise WindowTooShort("perf_analyzer found its windows too different; measure longer")
    if len(rates) < _WINDOWS or p50 is None or p99 is None:
        said = (printed + errors).strip().splitlines()[-3:]
        raise ChildFailed(f"perf_analyzer printed no figures: {' '.join(said) or 'it printed nothing'}")
    return Load(statistics.fmean(rates[1:]), int(p50[1]) / 1000, int(p99[1]) / 1000, client_cores)
