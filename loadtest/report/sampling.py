"""Looks at a server once a second while a load test runs, and writes down what it sees.

    with sampled(server.pid, "http://127.0.0.1:8002/metrics", folder / "server.jsonl"):
        …  # the load

A server elsewhere has no `pid` here: its metrics tell its processes' CPU and memory, too. A process that has gone ends
the looking, with a note in the file that says so; whoever runs the load learns of it from the load. Metrics that cannot
be read are a note, and are asked for again: a server that has too much to do is slow here, too.
"""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Final

import psutil

from loadtest.report.exposition import Exposition, ProcessCounts, read_exposition
from loadtest.report.samples import Sample

SAMPLES_FILE: Final = "server.jsonl"
"""Its name in the folder of a run."""
PERIOD_S: Final = 1.0
_SCRAPE_S: Final = 2.0
"""How long a server may take to answer."""


class ServerGone(Exception):
    """The server's process has ended."""


@contextlib.contextmanager
def sampled(
    pid: int | None,
    metrics_url: str | None,
    path: Path,
    *,
    period_s: float = PERIOD_S,
    clock: Callable[[], float] = time.time,
) -> Iterator[None]:
    """Samples a server from a thread of its own until the block is left; the file is then whole.

    Args:
        pid: The server's process on this machine; None looks at its metrics alone.
        metrics_url: Where its Prometheus metrics are, with `/metrics`; None looks at its process alone, and
            with neither at nothing.
        path: The file to write: a line of JSON for each look, see `Sample`.
        period_s: From one look to the next.
        clock: Seconds since the epoch.
    """
    stop = threading.Event()
    with path.open("w", encoding="utf-8") as file:

        def keep(sample: Sample) -> None:
            file.write(sample.to_line() + "\n")
            file.flush()

        look = Look(pid, metrics_url)
        thread = threading.Thread(
            target=_sample_until, args=(stop, look, keep, period_s, clock), name="sampler", daemon=True
        )
        if pid is not None or metrics_url is not None:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            if thread.ident is not None:
                thread.join()


class Look:
    """Sees what can be seen of one server. For one thread."""

    def __init__(self, pid: int | None, metrics_url: str | None) -> None:
        """Looks at nothing yet."""
        self._pid = pid
        self._process: psutil.Process | None = None
        self._metrics_url = metrics_url
        self._ended_cpu_s: dict[tuple[int, float], float] = {}

    def __call__(self, time_s: float) -> Sample:
        """One sample.

        Raises:
            ServerGone: Its process has ended.
        """
        process = self._processes()
        told, note = None, ""
        if self._metrics_url is not None:
            try:
                told = _scrape(self._metrics_url)
            except (OSError, ValueError, HTTPException) as error:
                note = f"the metrics at {self._metrics_url} could not be read: {error}"
        if process is None and told is not None:
            process = told.process
        return Sample(time_s, process, None if told is None else told.models, note)

    def _processes(self) -> ProcessCounts | None:
        if self._pid is None:
            return None
        try:
            if self._process is None:
                self._process = psutil.Process(self._pid)
            ended = self._process.status() == psutil.STATUS_ZOMBIE
            family = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            ended, family = True, []
        if ended:
            raise ServerGone(f"the server's process {self._pid} has ended")
        resident = 0
        for one in family:
            # A child may end between being listed and being looked at; what it used stays used.
            with contextlib.suppress(psutil.NoSuchProcess):
                with one.oneshot():
                    times = one.cpu_times()
                    self._ended_cpu_s[one.pid, one.create_time()] = times.user + times.system
                resident += _resident_bytes(one)
        return ProcessCounts(sum(self._ended_cpu_s.values()), resident, len(family))


def _sample_until(
    stop: threading.Event,
    look: Look,
    keep: Callable[[Sample], None],
    period_s: float,
    clock: Callable[[], float],
) -> None:
    due_s = time.monotonic()
    while True:
        now_s = clock()
        try:
            keep(look(now_s))
        except ServerGone as error:
            keep(Sample(now_s, note=f"{error}; it was not looked at after that"))
            return
        if stop.is_set():
            return  # after a last look at what the end of the load left
        due_s = max(due_s + period_s, time.monotonic())
        stop.wait(due_s - time.monotonic())


def _resident_bytes(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        full = process.memory_info()
    return int(getattr(full, "pss", full.rss))


def _scrape(url: str) -> Exposition:
    request = urllib.request.Request(url, headers={"Accept": "text/plain"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_SCRAPE_S) as response:  # noqa: S310 - an address that a person gave
        return read_exposition(response.read().decode("utf-8", errors="replace"))
