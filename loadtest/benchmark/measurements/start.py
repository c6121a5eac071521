"""How long a server takes to be ready."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from loadtest.benchmark.bench import Bench
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.server_process import started_server

_FLAG = "--model-cache"


def prepare(bench: Bench) -> Sequence[Step]:
    """Fills the model cache by a first start."""
    name = bench.model("openvino")
    flags = ["--model-control-mode", "explicit", "--load-model", name]
    if _knows(_FLAG):
        flags += [_FLAG, str(bench.folder("model-cache"))]
        bench.note("with a model cache that an earlier start has filled")
    else:
        bench.note(f"without a model cache: the server has no flag {_FLAG}")

    # Python must be allowed to keep what it compiled of the server's own code, as installing a package does.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def start() -> float:
        with started_server(bench.settings.repository, bench.log(), flags, environment=environment) as server:
            return server.ready_s

    bench.note(f"the first start, with an empty cache, took {start():.2f} s")
    return [Step(f"{name}, start", lambda figures: _note(figures, name, start()))]


def _note(figures: Figures, name: str, ready_s: float) -> None:
    figures.add(name, "ready_s", ready_s)


def _knows(flag: str) -> bool:
    command = [sys.executable, "-m", "pasarela_server", "--help"]
    return flag in subprocess.run(command, capture_output=True, text=True, check=True).stdout


START = Measurement("start", "from the process's start until it is ready, OpenVINO variant, model cache warm", prepare)
