"""Starts the peers on loopback, and waits until they serve."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import grpc

from loadtest.server_process import ServerDidNotStart, StartedServer, free_port, last_line, process_until_left
from pasarela_proto import inference_pb2, inference_pb2_grpc

_HERE: Final = Path(__file__).parent
_READY_S: Final = 120.0


class PeerMissing(ServerDidNotStart):
    """A peer is not installed; the message says how to have it."""


def peers_folder() -> Path:
    """Where `make benchmark-peers` installs them: `PEERS`, else the user's cache."""
    named = os.environ.get("PEERS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "pasarela-peers"


@contextlib.contextmanager
def triton(repository: Path, models: Sequence[str], log: Path) -> Iterator[StartedServer]:
    """The real tritonserver with its Python backend.

    Raises:
        PeerMissing: It is not installed.
        ServerDidNotStart: It is not ready in time.
    """
    folder = peers_folder() / "triton"
    python = _python(folder)
    places = json.loads(_printed(python, _PLACES))
    site, server = Path(places["site"]), Path(places["site"]) / "pytriton/tritonserver"
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{places['libraries']}:{site / 'nvidia_pytriton.libs'}",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
    }
    port = free_port()
    command = [str(server / "bin/tritonserver"), f"--model-repository={repository}"]
    command += [f"--backend-directory={folder / 'backends'}", "--grpc-address=127.0.0.1", f"--grpc-port={port}"]
    command += ["--allow-http=false", "--allow-metrics=false", "--exit-timeout-secs=5", "--log-verbose=0"]
    with process_until_left(command, log, environment) as (process, begun_s):
        yield _ready(f"127.0.0.1:{port}", models, process, begun_s, log)


@contextlib.contextmanager
def mlserver(folder: Path, models: Sequence[str], port: int, log: Path) -> Iterator[StartedServer]:
    """MLServer on a folder that `setups` wrote; its runtime imports `pipeline`.

    Raises:
        PeerMissing: It is not installed.
        ServerDidNotStart: It is not ready in time.
    """
    python = _python(peers_folder() / "mlserver")
    command = [str(python.with_name("mlserver")), "start", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(_HERE)}
    with process_until_left(command, log, environment) as (process, begun_s):
        yield _ready(f"127.0.0.1:{port}", models, process, begun_s, log)


def package_versions(peer: str, packages: Sequence[str]) -> str:
    """What a peer runs with: `openvino 2026.4.1, …`."""
    code = (
        f"from importlib.metadata import version\nprint(', '.join(f'{{p}} {{version(p)}}' for p in {list(packages)}))"
    )
    return _printed(_python(peers_folder() / peer), code)


_PLACES: Final = """
import json, sysconfig
print(json.dumps({"site": sysconfig.get_path("platlib"), "libraries": sysconfig.get_config_var("LIBDIR")}))
"""


def _python(folder: Path) -> Path:
    python = folder / "venv/bin/python"
    if not (folder / "installed").exists() or not python.exists():
        raise PeerMissing(f"{folder.name} is not installed in {folder}; run: make benchmark-peers")
    return python


def _printed(python: Path, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _ready(
    url: str, models: Sequence[str], process: subprocess.Popen[bytes], begun_s: float, log: Path
) -> StartedServer:
    """Waits until a peer says that it and all its models are ready."""
    until_s = time.monotonic() + _READY_S
    with grpc.insecure_channel(url, options=(("grpc.max_reconnect_backoff_ms", 500),)) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        while time.monotonic() < until_s and process.poll() is None:
            with contextlib.suppress(grpc.RpcError):
                ready = [
                    stub.ModelReady(inference_pb2.ModelReadyRequest(name=model), timeout=2).ready for model in models
                ]
                if all(ready):
                    return StartedServer(url, process.pid, time.monotonic() - begun_s)
            time.sleep(0.2)
    raise ServerDidNotStart(f"{' '.join(map(str, process.args[:1]))} was not ready: {last_line(log)}")  # type: ignore[index]
