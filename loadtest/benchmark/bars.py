"""How fast it should be: a table of bars, and what the figures say to each. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from loadtest.benchmark.figures import Figures
from loadtest.benchmark.results import Results
from loadtest.benchmark.settings import SATURATED
from loadtest.benchmark.spread import Spread

Unit = Literal["", "ms", "s", "MB"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise, and how to tell from the figures whether it is kept."""

    measurement: str
    what: str
    limit: float
    at_least: bool
    """True if the value must reach the limit, False if it may not pass it."""
    value: Callable[[Figures], Spread | None]
    unit: Unit = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar and what was measured; `value` is None where nothing was."""

    bar: Bar
    value: Spread | None

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the promise; None if nothing was measured."""
        if self.value is None:
            return None
        return self.value.median >= self.bar.limit if self.bar.at_least else self.value.median <= self.bar.limit


def verdicts(results: Results) -> list[Verdict]:
    """One for each bar, in their order. What was not measured to its end counts as not measured."""
    return [
        Verdict(bar, bar.value(entry.figures) if (entry := results.get(bar.measurement)) and entry.complete else None)
        for bar in BARS
    ]


def served_by_pipeline(figures: Figures) -> Spread | None:
    """16 clients over gRPC, divided by the pipeline in process."""
    return _of_role(figures, "openvino", f"server_{SATURATED}", "pipeline")


def alone_overhead_ms(figures: Figures) -> Spread | None:
    """What one client waits longer than a caller in process."""
    name = figures.role("openvino")
    return None if name is None else figures.difference((name, "server_1_p50_ms"), (name, "alone_p50_ms"))


def quantised_gain(figures: Figures) -> Spread | None:
    """INT8 divided by OpenVINO's default precision, both over gRPC."""
    int8, default = figures.role("int8"), figures.role("openvino")
    if int8 is None or default is None:
        return None
    return figures.ratio((int8, f"server_{SATURATED}"), (default, f"server_{SATURATED}"))


def tensors_by_bare(role: str, way: Literal["plain", "shared"]) -> Callable[[Figures], Spread | None]:
    """Float tensors over gRPC from four clients, divided by the bare framework."""
    return lambda figures: _of_role(figures, role, f"{way}_4", "bare")


def tail_ratio(figures: Figures) -> Spread | None:
    """p99 ÷ p50 of evenly spaced arrivals."""
    return _of_first(figures, "even_p99_ms", "even_p50_ms")


def goodput_ratio(figures: Figures) -> Spread | None:
    """Answers within their deadline under twice the load, divided by the saturated throughput."""
    return _of_first(figures, "goodput", "saturated")


def longest_refusal(figures: Figures) -> Spread | None:
    """How long the last of those that were not served had to wait for knowing it."""
    return _first(figures, "longest_refusal_ms")


def start_seconds(figures: Figures) -> Spread | None:
    """From the process's start until it is ready."""
    return _first(figures, "ready_s")


def peak_memory(figures: Figures) -> Spread | None:
    """The largest resident size that was seen on the way, and the smallest after the first requests."""
    taken = _taken(figures, "resident_mb")
    return Spread(max(taken), min(taken[1:] or taken), max(taken)) if taken else None


def memory_growth(figures: Figures) -> Spread | None:
    """The last tenth of the run, compared with the second fifth: what a leak would have made larger."""
    taken = _taken(figures, "resident_mb")[1:]
    if len(taken) < 10:
        return None
    early, late = taken[len(taken) // 5 : 2 * len(taken) // 5], taken[-(len(taken) // 10) :]
    return Spread.of([statistics.median(late) - statistics.median(early)])


def identity_by_echo(figures: Figures) -> Spread | None:
    """The identity model, divided by the faster of the two echo servers."""
    quantity = f"requests_{SATURATED}"
    faster = max(("echo_threads", "echo_asyncio"), key=lambda echo: figures.median(echo, quantity) or 0.0)
    return figures.ratio(("pasarela", quantity), (faster, quantity))


def by_best_of(prefix: str, quantity: str) -> Callable[[Figures], Spread | None]:
    """Ours, divided by that set-up of a peer which answers most images when it is saturated."""
    rate = f"images_{SATURATED}"

    def value(figures: Figures) -> Spread | None:
        peers = [name for name in figures.subjects() if name.startswith(prefix) and figures.values(name, rate)]
        if not peers:
            return None
        best = max(peers, key=lambda name: figures.median(name, rate) or 0.0)
        return figures.ratio(("pasarela", quantity), (best, quantity))

    return value


def _of_role(figures: Figures, role: str, above: str, below: str) -> Spread | None:
    name = figures.role(role)
    return None if name is None else figures.ratio((name, above), (name, below))


def _of_first(figures: Figures, above: str, below: str) -> Spread | None:
    names = figures.subjects()
    return figures.ratio((names[0], above), (names[0], below)) if names else None


def _first(figures: Figures, quantity: str) -> Spread | None:
    return Spread.of(_taken(figures, quantity))


def _taken(figures: Figures, quantity: str) -> list[float]:
    names = figures.subjects()
    return figures.values(names[0], quantity) if names else []


BARS: tuple[Bar, ...] = (
    Bar("jpeg", "images, 16 clients, OpenVINO ÷ the same pipeline in process", 0.95, True, served_by_pipeline),
    Bar("raw", "tensors in shared memory, 4 clients, OpenVINO ÷ benchmark_app", 0.92, True,
        tensors_by_bare("openvino", "shared")),
    Bar("raw", "tensors without shared memory, 4 clients, OpenVINO ÷ benchmark_app", 0.75, True,
        tensors_by_bare("openvino", "plain")),
    Bar("peers", "images, 16 clients ÷ Triton's best set-up", 1.15, True, by_best_of("triton", f"images_{SATURATED}")),
    Bar("peers", "images, 16 clients ÷ MLServer's best set-up", 1.45, True,
        by_best_of("mlserver", f"images_{SATURATED}")),
    Bar("peers", "one client, images: p50 ÷ that of Triton's best set-up", 0.6, False,
        by_best_of("triton", "images_1_p50_ms")),
    Bar("raw", "tensors without shared memory, 4 clients, ONNX ÷ onnxruntime by itself", 0.88, True,
        tensors_by_bare("onnx", "plain")),
    Bar("raw", "tensors in shared memory, 4 clients, ONNX ÷ onnxruntime by itself", 0.95, True,
        tensors_by_bare("onnx", "shared")),
    Bar("jpeg", "one client: p50 minus the pipeline's p50 in process", 1.5, False, alone_overhead_ms, "ms"),
    Bar("tail", "p99 ÷ p50 at 80 % of the saturated load, open arrival", 2.0, False, tail_ratio),
    Bar("jpeg", "INT8 ÷ OpenVINO's default precision, 16 clients", 1.25, True, quantised_gain),
    Bar("start", "start until ready, model cache warm, OpenVINO only", 1.5, False, start_seconds, "s"),
    Bar("overload", "twice the load: answers in time ÷ the saturated throughput", 0.9, True, goodput_ratio),
    Bar("overload", "twice the load: longest wait of those that were not served", 50, False, longest_refusal, "ms"),
    Bar("memory", "resident memory over 10,000 requests, OpenVINO only", 350, False, peak_memory, "MB"),
    Bar("memory", "its growth from the second fifth of the run to the last tenth", 5, False, memory_growth, "MB"),
    Bar("tiny", "identity model, 16 clients ÷ a bare grpcio echo server in Python", 0.6, True, identity_by_echo),
)  # fmt: skip
