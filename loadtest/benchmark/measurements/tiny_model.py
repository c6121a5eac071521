"""A model that does nothing, against a bare echo server in Python with the same messages."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from loadtest.benchmark.bench import Bench
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.benchmark.measurements.raw import add_load
from loadtest.benchmark.settings import SATURATED
from loadtest.benchmark.tiny import ELEMENTS, NAME, write_identity
from loadtest.server_process import (
    ServerDidNotStart,
    StartedServer,
    free_port,
    last_line,
    process_until_left,
    started_server,
    wait_until_ready,
)

_READY_S = 60.0


def prepare(bench: Bench) -> Sequence[Step]:
    """Our server, and both kinds of echo server."""
    repository = bench.folder("tiny")
    write_identity(repository)
    ours = bench.stack.enter_context(started_server(repository, bench.log()))
    servers = {"pasarela": ours, **{f"echo_{kind}": _echo(bench, kind) for kind in ("threads", "asyncio")}}
    who = "the project's own client (asyncio)" if bench.perf_analyzer is None else "perf_analyzer"
    bench.note(f"{ELEMENTS * 4} bytes each way, {SATURATED} clients of {who}")

    def step(subject: str, server: StartedServer) -> Step:
        def take(figures: Figures) -> None:
            if bench.perf_analyzer is None:
                request = {"kind": "tensor", "model": NAME, "input_name": "x", "shape": [1, ELEMENTS]}
                load, cores = bench.closed_load(server, request, SATURATED)
            else:
                load, cores = bench.analyze(server, NAME, SATURATED, {})
            add_load(figures, subject, f"requests_{SATURATED}", load, cores)

        return Step(f"{subject}, {NAME}", take)

    return [step(subject, server) for subject, server in servers.items()]


def _echo(bench: Bench, kind: str) -> StartedServer:
    port, log = free_port(), bench.log()
    command = [sys.executable, "-m", "loadtest.benchmark.echo", kind, str(port)]
    process, _ = bench.stack.enter_context(process_until_left(command, log))
    url = f"127.0.0.1:{port}"
    if not wait_until_ready(url, _READY_S, process):
        raise ServerDidNotStart(f"the echo server ({kind}) did not start: {last_line(log)}")
    return StartedServer(url, process.pid, 0.0)


TINY = Measurement("tiny", "an identity model of 1 kB, against a bare grpcio echo server", prepare, needs_models=False)
