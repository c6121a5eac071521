"""Float tensors in and out, with and without shared memory, against the framework by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadtest.benchmark.bench import Bench, MeasuredVariant
from loadtest.benchmark.benchmark_app import benchmark_app_rate, find_benchmark_app
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.benchmark.perf_analyzer import Load

_COMPARED = 4
"""Clients whose rate the bars divide by the bare framework's."""


def prepare(bench: Bench) -> Sequence[Step]:
    """A server for each variant, and its framework in a process of its own."""
    bench.note(
        "tensors are sent by "
        + (
            "the project's own client (asyncio)"
            if bench.perf_analyzer is None
            else "perf_analyzer, three windows each, of which the first does not count"
        )
    )
    return [step for variant in bench.variants() for step in _steps(bench, variant)]


def add_load(figures: Figures, subject: str, quantity: str, load: Load, cores: float) -> None:
    """Notes what a load generator got, and what both ends took."""
    figures.add(subject, quantity, load.per_second)
    figures.add(subject, f"{quantity}_p50_ms", load.p50_ms)
    figures.add(subject, f"{quantity}_p99_ms", load.p99_ms)
    figures.add(subject, f"{quantity}_client_cores", load.client_cores)
    figures.add(subject, f"{quantity}_cores", cores)


def _steps(bench: Bench, variant: MeasuredVariant) -> Iterator[Step]:
    server, name = bench.server([variant.name]), variant.name

    def sent(clients: int, *, shared: bool) -> Step:
        def take(figures: Figures) -> None:
            seconds = None if clients == _COMPARED else bench.glance()
            load, cores = bench.tensor_load(server, variant, clients, shared=shared, seconds=seconds)
            add_load(figures, name, f"{'shared' if shared else 'plain'}_{clients}", load, cores)

        return Step(f"{name}, tensors{' in shared memory' if shared else ''}, clients: {clients}", take)

    yield from _bare(bench, variant)
    for clients in bench.settings.clients:
        yield sent(clients, shared=True)
        yield sent(clients, shared=False)


def _bare(bench: Bench, variant: MeasuredVariant) -> Iterator[Step]:
    """The framework without anything of the project's around it."""
    name, seconds = variant.name, bench.settings.seconds
    if variant.backend == "openvino":
        tool = find_benchmark_app()
        if tool is None:
            return
        bench.note(f"bare {name}: benchmark_app with its throughput hint")

        def app(figures: Figures) -> None:
            figures.add(name, "bare", benchmark_app_rate(tool, variant.artefact, variant.side, seconds))

        yield Step(f"{name}, benchmark_app", app)
        return
    process = bench.child("loadtest.benchmark.direct", variant.backend, str(variant.artefact), str(variant.side))
    bench.note(f"bare {name}: {process.ask('describe')['description']}, the faster of two splits of the cores")

    def direct(figures: Figures) -> None:
        figures.add(name, "bare", process.ask("rate", seconds=seconds)["per_second"])

    yield Step(f"{name}, {variant.backend} by itself", direct)


RAW = Measurement(
    "raw", "float tensors with and without shared memory, against the bare framework; each variant", prepare
)
