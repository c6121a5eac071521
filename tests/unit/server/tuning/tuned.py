"""What the tests of tuning share: subjects, slices that were never measured, machines that are simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pasarela_server.tuning.candidate import BASELINE, Candidate, Merge
from pasarela_server.tuning.measurement import Slice
from pasarela_server.tuning.search import CandidateFailed, Measured
from pasarela_server.tuning.subject import Subject


def subject(**changes: object) -> Subject:
    """Two instances on two cores, nothing written; with changes."""
    usual: dict[str, object] = {
        "backend": "openvino",
        "description": "OpenVINO, CPU",
        "on_gpu": False,
        "detects": True,
        "cores": 2,
        "instances": 2,
        "threads": 1,
        "max_batch_size": 8,
        "merge": Merge(on=False),
    }
    return Subject(**{**usual, **changes})  # type: ignore[arg-type]


def a_slice(clients: int = 4, throughput: float = 100.0, latency_ms: float = 40.0, refused: int = 0) -> Slice:
    """One second under load, all requests alike."""
    completed = round(throughput * 10)
    return Slice(clients, 10.0, completed, (latency_ms,) * min(completed, 50), 1.0, 100.0, refused)


Machine = Callable[[Candidate, int], Slice]
"""What a candidate would do there with so many clients."""


class Bench:
    """Stands in for processes: a machine that is simulated, and everything that was asked of it."""

    def __init__(self, machine: Machine, broken: Sequence[Candidate] = ()) -> None:
        self._machine = machine
        self._broken = broken
        self.asked: list[tuple[Candidate, int, float]] = []
        self.loaded: list[Candidate] = []
        self.open_now = 0
        self.baseline = _Loaded(self, BASELINE)

    @contextmanager
    def open(self, candidate: Candidate) -> Iterator[Measured]:
        self.loaded.append(candidate)
        if candidate in self._broken:
            raise CandidateFailed("no memory")
        self.open_now += 1
        try:
            yield _Loaded(self, candidate)
        finally:
            self.open_now -= 1

    def ask(self, candidate: Candidate, clients: int, seconds: float) -> Slice:
        self.asked.append((candidate, clients, seconds))
        return self._machine(candidate, clients)


class _Loaded:
    def __init__(self, bench: Bench, candidate: Candidate) -> None:
        self._bench = bench
        self._candidate = candidate

    def measure(self, clients: int, seconds: float) -> Slice:
        return self._bench.ask(self._candidate, clients, seconds)
