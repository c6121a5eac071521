"""Where requests are measured, and all that is counted of them; `exposition` writes it for Prometheus."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pasarela_server.errors import (
    BackendFailure,
    DeadlineExpired,
    QueueFull,
    QueueTimeout,
    RequestCancelled,
    ServerStopping,
)
from pasarela_server.observability.found import FoundObjects
from pasarela_server.observability.record import NOBODY, Caller, ExecutionTimes, RequestRecord
from pasarela_server.observability.stage_times import StageTimes
from pasarela_server.observability.statistics import Statistics
from pasarela_server.request import NO_TIMINGS, Found, Timings

_MOST_ID_CHARS = 256
"""Of a request's id in logs and traces: clients choose it, and many may wait to be written."""
_MOST_GONE = 1024
"""Versions that were unloaded, of which requests may still end: they do so within minutes."""
_REASONS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("CANCELED", (asyncio.CancelledError, RequestCancelled)),
    ("REJECTED", (QueueFull, QueueTimeout, DeadlineExpired, ServerStopping)),
    ("BACKEND", (BackendFailure,)),
)


def failure_reason(error: BaseException) -> str:
    """Triton's word for why a request failed: REJECTED, CANCELED, BACKEND or OTHER."""
    return next((reason for reason, kinds in _REASONS if isinstance(error, kinds)), "OTHER")


@dataclass(frozen=True, slots=True)
class Load:
    """How a version was loaded."""

    seconds: float
    """What it took."""
    quality: Mapping[str, float]
    """Its mAP by split, as measured when it was published."""


class Series:
    """What is kept of the requests of one version. Thread-safe."""

    __slots__ = ("found", "outcomes", "times")

    def __init__(self) -> None:
        self.outcomes: set[Outcome] = set()
        """Requests that are being answered."""
        self.times = StageTimes()
        self.found = FoundObjects()

    @property
    def open(self) -> int:
        """How many requests are being answered."""
        return len(self.outcomes)


class Outcome:
    """A request while it is measured, as a context: the code that answers it fills in what came of it."""

    __slots__ = ("_caller", "_metrics", "_request_id", "_series", "_started_ns", "_version", "found", "rows", "timings")

    def __init__(
        self, metrics: Metrics, series: Series, version: tuple[str, int], request_id: str, caller: Caller
    ) -> None:
        self._metrics = metrics
        self._series = series
        self._version = version
        self._request_id = request_id
        self._caller = caller
        self._started_ns = 0
        self.found: Found | None = None
        """Of a detector: what it saw."""
        self.timings: Timings = NO_TIMINGS
        self.rows = 1
        """Inferences in the request: the size of its batch dimension."""

    def __enter__(self) -> Self:
        return self.begin(self._metrics.clock_ns())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)

    def begin(self, started_ns: int) -> Self:
        """Begins a request that is no context: one that came to another process, at that time on the same clock."""
        self._started_ns = started_ns
        self._series.outcomes.add(self)
        return self

    def end(self, error: BaseException | None) -> None:
        """Ends it, once; with the reason if it failed."""
        self._series.outcomes.discard(self)
        record = RequestRecord(
            *self._version,
            self._request_id,
            self._started_ns,
            self._metrics.clock_ns(),
            self.rows,
            self.timings if error is None else NO_TIMINGS,
            None if error is None else type(error),
            self._caller,
        )
        if error is None:
            self._series.times.add(record.duration_ns, self.timings)
            if self.found is not None:
                self._series.found.add(self.found)
        self._metrics.ended(record, error)


class Metrics:
    """The one place where requests are measured, and what is counted beside the statistics. Thread-safe."""

    def __init__(
        self,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        statistics: Statistics | None = None,
        listeners: Iterable[Callable[[RequestRecord], None]] = (),
    ) -> None:
        """Builds the metrics.

        Args:
            clock_ns: A monotonic clock.
            statistics: Told of every request; knows the executions, which are reported to it.
            listeners: Told of every request too, on the thread that answered it: must neither block nor raise.
        """
        self.clock_ns = clock_ns
        self._statistics = Statistics() if statistics is None else statistics
        self._listeners: tuple[Callable[[RequestRecord], None], ...] = tuple(listeners)
        self._gone: dict[tuple[str, int], None] = {}
        """Versions that were forgotten and not loaded again: what still ends there is counted nowhere. The last ones
        only, in that order: models may come and go for years. Changed under `_counting`."""
        self._series: dict[tuple[str, int], Series] = {}
        self._counting = threading.Lock()
        self._failures: dict[tuple[str, int], Counter[str]] = {}
        self._loads: dict[tuple[str, int], Load] = {}
        self._streams: Counter[str] = Counter()
        self.built: Mapping[str, str] = {}
        """Versions of what is running, by what they are of."""
        self.expires_s: Callable[[], float] | None = None
        """When the server's certificate expires, in Unix time; None without TLS."""

    @property
    def statistics(self) -> Statistics:
        """What each version has done."""
        return self._statistics

    def listen(self, listener: Callable[[RequestRecord], None]) -> None:
        """Tells one more of every request; see `listeners` of the constructor. Called before requests come."""
        self._listeners += (listener,)

    def request(self, model: str, version: int, request_id: str = "", caller: Caller = NOBODY) -> Outcome:
        """Measures one request of a model that exists, as a context; its block fills in what came of it."""
        key = (model, version)
        series = self._series.get(key) or (Series() if key in self._gone else self._series.setdefault(key, Series()))
        return Outcome(self, series, key, request_id[:_MOST_ID_CHARS], caller)

    def ended(self, record: RequestRecord, error: BaseException | None) -> None:
        """Tells everyone of a request that has ended, and why if it failed."""
        counted = (record.model, record.version) not in self._gone
        if error is not None and counted:
            with self._counting:
                self._failures.setdefault((record.model, record.version), Counter())[failure_reason(error)] += 1
        if counted:
            self._statistics.request(record)
        for listener in self._listeners:
            listener(record)

    def loaded(self, model: str, version: int, seconds: float, quality: Mapping[str, float]) -> None:
        """Says how long loading a version took, and its mAP by split; called before requests reach it."""
        with self._counting:
            self._gone.pop((model, version), None)
        self._loads[model, version] = Load(seconds, quality)

    def build(self, **versions: str) -> None:
        """Says what is running: versions, by what they are of. Called once."""
        self.built = versions

    def stream_changed(self, method: str, difference: int) -> None:
        """Counts streams of an RPC that were opened, or with a negative number have ended."""
        with self._counting:
            self._streams[method] += difference

    def certificate(self, expires_s: Callable[[], float]) -> None:
        """Says when the server's certificate expires; see `expires_s`. Called once, with TLS."""
        self.expires_s = expires_s

    def executed(self, model: str, version: int, execution: ExecutionTimes) -> None:
        """Counts a batch that a version has executed."""
        if (model, version) not in self._gone:
            self._statistics.executed(model, version, execution)

    def forget(self, model: str, version: int) -> None:
        """Drops what is known of a version, the statistics included; call it when the version is unloaded.

        Requests that it still answers then are not counted: they would bring it back.
        """
        with self._counting:
            self._gone.pop((model, version), None)
            self._gone[model, version] = None
            if len(self._gone) > _MOST_GONE:
                del self._gone[next(iter(self._gone))]
        self._statistics.forget(model, version)
        self._series.pop((model, version), None)
        self._loads.pop((model, version), None)
        with self._counting:
            self._failures.pop((model, version), None)

    def series(self) -> Mapping[tuple[str, int], Series]:
        """What is kept of the requests of each version that was asked."""
        return dict(self._series)

    def failures(self) -> Mapping[tuple[str, int], Mapping[str, int]]:
        """How many requests of each version failed, by reason."""
        with self._counting:
            return {version: dict(reasons) for version, reasons in self._failures.items()}

    def loads(self) -> Mapping[tuple[str, int], Load]:
        """How each version that is loaded was loaded."""
        return dict(self._loads)

    def streams(self) -> Mapping[str, int]:
        """How many streams of each RPC are open."""
        with self._counting:
            return dict(self._streams)
