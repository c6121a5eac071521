"""What a server's memory does while it answers thousands of requests."""

from __future__ import annotations

from collections.abc import Sequence

import psutil
from tqdm import tqdm

from loadtest.benchmark.bench import Bench
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.benchmark.settings import SATURATED

_LOOKS = 40
_MB = 1e6


def prepare(bench: Bench) -> Sequence[Step]:
    """One server with one variant."""
    name = bench.model("openvino")
    server, requests = bench.server([name]), bench.settings.requests
    process = psutil.Process(server.pid)
    bench.note(
        f"{requests:,} images from {SATURATED} clients; resident memory of the server, {_LOOKS} looks on the way"
    )

    def take(figures: Figures) -> None:
        figures.add(name, "resident_mb", _resident_mb(process))
        each = -(-requests // _LOOKS)
        with tqdm(total=each * _LOOKS, desc=f"{name}, requests", unit="request", leave=False) as bar:
            for _ in range(_LOOKS):
                bench.generator().ask(
                    "closed",
                    url=server.url,
                    request={"kind": "detect", "model": name},
                    clients=SATURATED,
                    seconds=0,
                    requests=each,
                )
                figures.add(name, "resident_mb", _resident_mb(process))
                bar.update(each)

    return [Step(f"{name}, memory", take)]


def _resident_mb(process: psutil.Process) -> float:
    """Of the server and the processes that it started; pages that they share count for each."""
    processes = (process, *process.children(recursive=True))
    return float(sum(one.memory_info().rss for one in processes)) / _MB


MEMORY = Measurement("memory", "resident memory over 10,000 requests, OpenVINO variant alone", prepare, once=True)
