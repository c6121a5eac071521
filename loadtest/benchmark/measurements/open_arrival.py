"""Requests that come when they come: at four fifths of what the server can do, and at twice as much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtest.benchmark.arrivals import Pattern
from loadtest.benchmark.bench import Bench
from loadtest.benchmark.figures import Figures
from loadtest.benchmark.measurement import Measurement, Step
from loadtest.benchmark.settings import SATURATED

_BUSY = 0.8
_OVERLOAD = 2.0
_PATIENCE_MS = 30_000.0


def prepare_tail(bench: Bench) -> Sequence[Step]:
    """One server with the OpenVINO variant."""
    name = bench.model("openvino")
    server = bench.server([name])
    bench.note(f"{_BUSY:.0%} of what {SATURATED} clients got just before; latency counts from when a request was due")

    def take(figures: Figures) -> None:
        load, _ = bench.detect_load(server, name, SATURATED)
        figures.add(name, "saturated", load.per_second)
        patterns: tuple[Pattern, ...] = ("even", "poisson")
        for pattern in patterns:
            fares = _open(bench, server.url, name, load.per_second * _BUSY, 3, pattern, _PATIENCE_MS)
            figures.add(name, f"{pattern}_p50_ms", fares["p50_ms"])
            figures.add(name, f"{pattern}_p99_ms", fares["p99_ms"])
            figures.add(name, f"{pattern}_unserved", fares["refused"] + fares["late"] + fares["failed"])
            figures.add(name, f"{pattern}_lag_ms", fares["longest_lag_ms"])

    return [Step(f"{name}, {_BUSY:.0%} of its load", take)]


def prepare_overload(bench: Bench) -> Sequence[Step]:
    """One server with the OpenVINO variant."""
    name = bench.model("openvino")
    server, deadline_ms = bench.server([name]), bench.settings.deadline_ms
    bench.note(f"deadline of each request: {deadline_ms:g} ms; twice what {SATURATED} clients got just before")

    def take(figures: Figures) -> None:
        load, _ = bench.detect_load(server, name, SATURATED)
        figures.add(name, "saturated", load.per_second)
        fares = _open(bench, server.url, name, load.per_second * _OVERLOAD, 3, "even", deadline_ms)
        figures.add(name, "goodput", fares["goodput_per_second"])
        figures.add(name, "p50_ms", fares["p50_ms"])
        figures.add(name, "p99_ms", fares["p99_ms"])
        figures.add(name, "refused_share", fares["refused"] / fares["sent"])
        figures.add(name, "late_share", fares["late"] / fares["sent"])
        figures.add(name, "failed_share", fares["failed"] / fares["sent"])
        figures.add(name, "p99_refusal_ms", fares["p99_refusal_ms"])
        figures.add(name, "longest_refusal_ms", fares["longest_refusal_ms"])
        figures.add(name, "lag_ms", fares["longest_lag_ms"])
        figures.add(name, "client_cores", fares["client_cores"])

    return [Step(f"{name}, twice its load", take)]


def _open(
    bench: Bench, url: str, model: str, rate: float, times: int, pattern: Pattern, deadline_ms: float
) -> dict[str, Any]:
    return bench.generator().ask(
        "open",
        url=url,
        request={"kind": "detect", "model": model},
        rate=rate,
        seconds=bench.settings.seconds * times,
        pattern=pattern,
        deadline_ms=deadline_ms,
    )


TAIL = Measurement("tail", "latency at 80 % of the saturated load, open arrival", prepare_tail)
OVERLOAD = Measurement("overload", "twice the saturated load, open arrival, with deadlines", prepare_overload)
