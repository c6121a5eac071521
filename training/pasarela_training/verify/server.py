"""A server of one's own, for as long as something is measured through it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pasarela_training.errors import TrainingError

STOP_S = 15.0
"""How long a server may take to drain before it is killed."""
_ADDRESS = re.compile(r"gRPC on (\S+:\d+)")
_READY = "Try: "
"""Begins the last line that a server prints when it has started."""


@contextlib.contextmanager
def running_server(repository: Path, log: Path) -> Iterator[str]:
    """Starts a server on a free port, yields its address once its models are loaded, and stops it, whatever happens.

    Args:
        repository: The model repository that it serves.
        log: File for what it logs.

    Raises:
        TrainingError: It ended before it was ready; the message has the last line of its log.
    """
    command = [sys.executable, "-m", "pasarela_server", "--model-repository", str(repository)]
    command += ["--grpc-address", "127.0.0.1", "--grpc-port", "0", "--metrics-port", "0"]
    with log.open("wb") as errors:
        # A session of its own: Ctrl-C reaches this process alone, which then stops the server in good order.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        try:
            yield _started(process, log)
        finally:
            _stop(process)


def _started(process: subprocess.Popen[str], log: Path) -> str:
    address = ""
    for line in process.stdout or ():
        found = _ADDRESS.search(line)
        address = found[1] if found else address
        if line.startswith(_READY):
            return address
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = lines[-1] if lines else "it said nothing"
    raise TrainingError(f"verify: the server ended with code {process.wait()} before it was ready: {said} ({log})")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
