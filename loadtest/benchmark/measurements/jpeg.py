"""Images in, detections out: bare engine, pipeline in process, server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadtest.benchmark.bench import Bench, MeasuredVariant
from loadtest.benchmark.benchmark_app import benchmark_app_rate, find_benchmark_app
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.benchmark.settings import SATURATED


def prepare(bench: Bench) -> Sequence[Step]:
    """A server and a process without one for each variant."""
    return [step for variant in bench.variants() for step in _steps(bench, variant)]


def _steps(bench: Bench, variant: MeasuredVariant) -> Iterator[Step]:
    """What is divided by each other is measured next to each other."""
    server, name, seconds = bench.server([variant.name]), variant.name, bench.settings.seconds
    tool = find_benchmark_app()

    def network(figures: Figures) -> None:
        figures.add(name, "network", variant.process.ask("network", seconds=bench.glance())["per_second"])

    def alone(figures: Figures) -> None:
        answer = variant.process.ask("alone", seconds=seconds)
        figures.add(name, "alone_p50_ms", answer["p50_ms"])
        figures.add(name, "alone_p99_ms", answer["p99_ms"])

    def pipeline(figures: Figures) -> None:
        figures.add(name, "pipeline", variant.process.ask("pipeline", seconds=seconds)["per_second"])

    def served(clients: int) -> Step:
        def take(figures: Figures) -> None:
            compared = clients in (1, SATURATED)
            load, cores = bench.detect_load(server, name, clients, None if compared else bench.glance())
            figures.add(name, f"server_{clients}", load.per_second)
            figures.add(name, f"server_{clients}_p50_ms", load.p50_ms)
            figures.add(name, f"server_{clients}_p99_ms", load.p99_ms)
            figures.add(name, f"server_{clients}_client_cores", load.client_cores)
            figures.add(name, f"server_{clients}_cores", cores)

        return Step(f"{name}, clients: {clients}", take)

    yield Step(f"{name}, network in process", network)
    if tool is not None and variant.backend == "openvino":
        found = tool

        def app(figures: Figures) -> None:
            figures.add(
                name, "benchmark_app", benchmark_app_rate(found, variant.artefact, variant.side, bench.glance())
            )

        yield Step(f"{name}, benchmark_app", app)
    for clients in bench.settings.clients:
        if clients == 1:
            yield Step(f"{name}, one image at a time in process", alone)
        if clients == SATURATED:
            yield Step(f"{name}, pipeline in process", pipeline)
        yield served(clients)


JPEG = Measurement("jpeg", "images in, detections out: engine, pipeline in process, server; each variant", prepare)
