"""CPU and memory of the machine under Triton's names, and what each kind of the server's processes takes of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

PROC: Final = Path("/proc")

_LEAST_S = 0.5
"""Between two looks at the processor's times: over less, they say nothing."""
_KIB = 1024
_KINDS: Final = {"pasarela_server.frontends": "front", "pasarela_server.backends.isolation": "instance"}
_UTIME, _RSS = 11, 21
"""Places in /proc/<pid>/stat behind the command's name."""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Of all cores together, since the machine was started, in ticks."""

    busy: int
    total: int


def read_cpu_times(text: str) -> CpuTimes:
    """What /proc/stat says. Pure."""
    user, nice, system, idle, waiting, *others = map(int, text.partition("\n")[0].split()[1:9])
    busy = user + nice + system + sum(others)
    return CpuTimes(busy, busy + idle + waiting)


def read_memory(text: str) -> tuple[int, int]:
    """Bytes that there are, and that are used and could not be freed, as /proc/meminfo says. Pure."""
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in text.splitlines())}
    total = sizes["MemTotal"] * _KIB
    return total, total - sizes["MemAvailable"] * _KIB


def read_process(text: str) -> tuple[float, int]:
    """Seconds of the processor that a process has had, and bytes of its memory that are there. Pure.

    Args:
        text: Of /proc/<pid>/stat.
    """
    fields = text.rpartition(")")[2].split()
    seconds = (int(fields[_UTIME]) + int(fields[_UTIME + 1])) / os.sysconf("SC_CLK_TCK")
    return seconds, int(fields[_RSS]) * os.sysconf("SC_PAGE_SIZE")


def process_kind(command: str) -> str:
    """What a process of the server does, by its command line: the package that it runs. Pure.

    Args:
        command: Of /proc/<pid>/cmdline: words, each ended by a zero byte.
    """
    words = command.split("\0")
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    return _KINDS.get(module, "other")


class Machine(Collector):
    """Reads /proc at every scrape; shows nothing where there is none. Thread-safe."""

    def __init__(self, proc: Path = PROC, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins to measure how busy the processor is.

        Args:
            proc: Where the kernel tells it.
            clock: A monotonic clock in seconds.
        """
        self._proc = proc
        self._clock = clock
        self._lock = threading.Lock()
        self._utilization = 0.0
        self._before = self._times(), clock()

    @override
    def collect(self) -> Iterable[Metric]:
        try:
            total, used = read_memory((self._proc / "meminfo").read_text())
        except (OSError, KeyError, ValueError):
            return
        yield GaugeMetricFamily(
            "nv_cpu_utilization", "How busy all cores of the machine are, 0 to 1", self._measured_utilization()
        )
        yield GaugeMetricFamily("nv_cpu_memory_total_bytes", "Memory of the machine", total)
        yield GaugeMetricFamily("nv_cpu_memory_used_bytes", "Memory of the machine that is used", used)
        yield from self._processes()

    def _times(self) -> CpuTimes:
        try:
            return read_cpu_times((self._proc / "stat").read_text())
        except (OSError, ValueError):
            return CpuTimes(0, 0)

    def _measured_utilization(self) -> float:
        with self._lock:
            (before, before_s), now_s = self._before, self._clock()
            if now_s - before_s >= _LEAST_S:
                times = self._times()
                self._before = times, now_s
                self._utilization = (times.busy - before.busy) / max(1, times.total - before.total)
            return self._utilization

    def _processes(self) -> Iterable[Metric]:
        sums: dict[str, tuple[int, float, int]] = {}
        for kind, seconds, size in self._own_processes():
            count, all_seconds, all_sizes = sums.get(kind, (0, 0.0, 0))
            sums[kind] = count + 1, all_seconds + seconds, all_sizes + size
        counts = GaugeMetricFamily("pasarela_processes", "Processes of the server", labels=("process",))
        cpu = GaugeMetricFamily(
            "pasarela_processes_cpu_seconds", "Processor time of the processes that live now", labels=("process",)
        )
        memory = GaugeMetricFamily(
            "pasarela_processes_resident_memory_bytes", "Resident memory of the processes", labels=("process",)
        )
        for kind, (count, seconds, size) in sums.items():
            counts.add_metric((kind,), count)
            cpu.add_metric((kind,), seconds)
            memory.add_metric((kind,), size)
        return counts, cpu, memory

    def _own_processes(self) -> Iterable[tuple[str, float, int]]:
        """This process and its children: kind, processor time, memory. One that ends meanwhile is left out."""
        own = os.getpid()
        kinds: Mapping[int, str] = {own: "main", **dict.fromkeys(self._children(own), "")}
        for pid, kind in kinds.items():
            folder = self._proc / str(pid)
            try:
                command = kind or process_kind((folder / "cmdline").read_text())
                yield command, *read_process((folder / "stat").read_text())
            except (OSError, ValueError, LookupError):
                continue

    def _children(self, pid: int) -> Iterable[int]:
        for task in (self._proc / str(pid) / "task").glob("*/children"):
            try:
                yield from map(int, task.read_text().split())
            except (OSError, ValueError):
                continue
