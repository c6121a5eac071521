"""Prometheus metrics: Triton's names, so that existing boards work, and histograms of our own beside them."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Gauge, Metric, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from pasarela_server.errors import (
    BackendFailure,
    DeadlineExpired,
    QueueFull,
    QueueTimeout,
    RequestCancelled,
    ServerStopping,
)
from pasarela_server.observability.found import CONFIDENCES, FoundObjects
from pasarela_server.observability.gpus import Gpus
from pasarela_server.observability.machine import Machine
from pasarela_server.observability.record import NOBODY, Caller, ExecutionTimes, RequestRecord
from pasarela_server.observability.stage_times import BOUNDS_S, ROWS, StageTimes, add_histogram
from pasarela_server.observability.statistics import Statistics
from pasarela_server.request import NO_TIMINGS, Found, Timings

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LABELS = ("model", "version")
_MOST_ID_CHARS = 256
"""Of a request's id in logs and traces: clients choose it, and many may wait to be written."""
_DETECTIONS = "pasarela_detections"
_COUNTERS_ELSEWHERE = (_DETECTIONS, "pasarela_processes_cpu_seconds", "nv_energy_consumption")
_REASONS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("CANCELED", (asyncio.CancelledError, RequestCancelled)),
    ("REJECTED", (QueueFull, QueueTimeout, DeadlineExpired, ServerStopping)),
    ("BACKEND", (BackendFailure,)),
)


def failure_reason(error: BaseException) -> str:
    """Triton's word for why a request failed: REJECTED, CANCELED, BACKEND or OTHER."""
    return next((reason for reason, kinds in _REASONS if isinstance(error, kinds)), "OTHER")


@dataclass(frozen=True, slots=True)
class Now:
    """What is asked, not counted: how the server is when it is scraped."""

    ready: bool = False
    """Whether it answers requests, as /readyz says."""
    versions: Iterable[tuple[str, int, bool]] = ()
    """Model, version and whether it is READY, of all that are known."""
    pending: Iterable[tuple[str, int, int]] = ()
    """Model, version and how many requests wait for an instance of it."""


_UNKNOWN = Now()


class _Series:
    """What is kept of the requests of one version. Thread-safe."""

    __slots__ = ("_lock", "found", "open", "times")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.open = 0
        """Requests that are being answered."""
        self.times = StageTimes()
        self.found = FoundObjects()

    def change_open(self, difference: int) -> None:
        with self._lock:
            self.open += difference


class Outcome:
    """A request while it is measured, as a context: the code that answers it fills in what came of it."""

    __slots__ = ("_caller", "_metrics", "_request_id", "_series", "_started_ns", "_version", "found", "rows", "timings")

    def __init__(
        self, metrics: Metrics, series: _Series, version: tuple[str, int], request_id: str, caller: Caller
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
        self._series.change_open(1)
        return self

    def end(self, error: BaseException | None) -> None:
        """Ends it, once; with the reason if it failed."""
        self._series.change_open(-1)
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


class _Histograms(Collector):
    """What the series hold, as the library writes it."""

    def __init__(self, series: dict[tuple[str, int], _Series]) -> None:
        self._series = series

    @override
    def collect(self) -> Iterable[Metric]:
        stages = HistogramMetricFamily(
            "pasarela_request_stage_seconds", "Time of a request by stage", labels=(*_LABELS, "stage")
        )
        rows = HistogramMetricFamily(
            "pasarela_batch_rows", "Rows of the batch that a request travelled in", labels=_LABELS
        )
        confidences = HistogramMetricFamily(
            "pasarela_detection_confidence", "Confidence of the objects that were found", labels=_LABELS
        )
        objects = GaugeMetricFamily(_DETECTIONS, "Objects that were found, by class", labels=(*_LABELS, "class"))
        for (model, version), series in list(self._series.items()):
            labels = model, str(version)
            for stage, counts, sum_s in series.times.stages():
                add_histogram(stages, (*labels, stage), BOUNDS_S, counts, sum_s)
            add_histogram(rows, labels, ROWS, *series.times.rows())
            by_class = series.found.by_class()
            for name, count in by_class.items():
                objects.add_metric((*labels, name), count)
            if by_class:
                add_histogram(confidences, labels, CONFIDENCES, *series.found.confidences())
        return (stages, rows, objects, confidences)


class Metrics:
    """The server's metrics, in a registry of their own, and the one place where requests are measured. Thread-safe.

    What Triton counts is taken from the statistics when it is read: both say the same.
    """

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
        self._gone: set[tuple[str, int]] = set()
        """Versions that were forgotten and not loaded again: what still ends there is counted nowhere."""
        self._registry = CollectorRegistry()
        self._scraping = threading.Lock()
        """Held while gauges are set and written: two scrapes at the same time must not see each other's halves."""
        self._counters = list(_COUNTERS_ELSEWHERE)
        self._by_version: list[Gauge] = []
        self._series: dict[tuple[str, int], _Series] = {}
        self._success = self._counter("nv_inference_request_success", "Requests that were answered")
        self._failure = self._counter("nv_inference_request_failure", "Requests that failed", "reason")
        self._inferences = self._counter("nv_inference_count", "Inferences: a request of n rows counts n times")
        self._executions = self._counter("nv_inference_exec_count", "Executions: a batch counts once")
        self._request = self._counter("nv_inference_request_duration_us", "Time from request to response")
        self._queue = self._counter("nv_inference_queue_duration_us", "Time spent waiting for an instance")
        self._input = self._counter("nv_inference_compute_input_duration_us", "Time spent on preparing inputs")
        self._infer = self._counter("nv_inference_compute_infer_duration_us", "Time spent in the backend")
        self._output = self._counter("nv_inference_compute_output_duration_us", "Time spent on outputs")
        self._pending = self._gauge("nv_inference_pending_request_count", "Requests that wait for an instance")
        self._load = self._gauge("nv_model_load_duration_secs", "Time that loading the version took")
        self._quality = self._gauge(
            "pasarela_model_map", "mAP at IoU 0.50:0.95, as measured when the version was published", "split"
        )
        self._open = self._gauge("pasarela_open_requests", "Requests that are being answered")
        self._closed = self._counter("pasarela_batches_closed", "Batches that were executed, by why closed", "reason")
        self._by_instance = self._counter("pasarela_instance_batches", "Batches that an instance executed", "instance")
        self._ready = Gauge("pasarela_ready", "1 if the server answers requests, as /readyz", registry=self._registry)
        self._model_ready = Gauge(
            "pasarela_model_ready", "1 if a version of a model can answer", _LABELS, registry=self._registry
        )
        self._streams = Gauge(
            "pasarela_open_streams", "Streams that clients have open", ("method",), registry=self._registry
        )
        self._registry.register(_Histograms(self._series))
        for collector in (ProcessCollector(registry=None), Machine(), Gpus()):
            self._registry.register(collector)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        gauge = Gauge(name, documentation, (*_LABELS, *labels), registry=self._registry)
        self._by_version.append(gauge)
        return gauge

    def _counter(self, name: str, documentation: str, *labels: str) -> Gauge:
        """A counter of exactly that name: the library's own Counter would append `_total` to it."""
        self._counters.append(name)
        return self._gauge(name, documentation, *labels)

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
        series = self._series.get(key) or (_Series() if key in self._gone else self._series.setdefault(key, _Series()))
        return Outcome(self, series, key, request_id[:_MOST_ID_CHARS], caller)

    def ended(self, record: RequestRecord, error: BaseException | None) -> None:
        """Tells everyone of a request that has ended, and why if it failed."""
        counted = (record.model, record.version) not in self._gone
        if error is not None and counted:
            self._failure.labels(record.model, str(record.version), failure_reason(error)).inc()
        if counted:
            self._statistics.request(record)
        for listener in self._listeners:
            listener(record)

    def loaded(self, model: str, version: int, seconds: float, quality: Mapping[str, float]) -> None:
        """Says how long loading a version took, and its mAP by split; called before requests reach it."""
        self._gone.discard((model, version))
        self._load.labels(model, str(version)).set(seconds)
        for split, value in quality.items():
            self._quality.labels(model, str(version), split).set(value)

    def build(self, **versions: str) -> None:
        """Shows what is running: versions, by what they are of. Called once."""
        info = Gauge(
            "pasarela_build_info", "Versions of what is running; always 1", tuple(versions), registry=self._registry
        )
        info.labels(**versions).set(1)

    def stream_changed(self, method: str, difference: int) -> None:
        """Counts streams of an RPC that were opened, or with a negative number have ended."""
        self._streams.labels(method).inc(difference)

    def certificate(self, expires_s: Callable[[], float]) -> None:
        """Shows when the server's certificate expires, in Unix time; asked at every scrape. Called once, with TLS."""
        gauge = Gauge(
            "pasarela_certificate_expires_timestamp_seconds",
            "When the server's certificate expires",
            registry=self._registry,
        )
        gauge.set_function(expires_s)

    def executed(self, model: str, version: int, execution: ExecutionTimes) -> None:
        """Counts a batch that a version has executed."""
        if (model, version) not in self._gone:
            self._statistics.executed(model, version, execution)

    def forget(self, model: str, version: int) -> None:
        """Drops what is known of a version, the statistics included; call it when the version is unloaded.

        Requests that it still answers then are not counted: they would bring it back.
        """
        self._gone.add((model, version))
        self._statistics.forget(model, version)
        self._series.pop((model, version), None)
        for metric in self._by_version:
            metric.remove_by_labels({"model": model, "version": str(version)})

    def _take_counts(self) -> None:
        for (model, version), known in self._statistics.all().items():
            for counter, value in (
                (self._success, known.success.count),
                (self._inferences, known.inference_count),
                (self._executions, known.execution_count),
                (self._request, known.success.ns / 1e3),
                (self._queue, known.queue.ns / 1e3),
                (self._input, known.compute_input.ns / 1e3),
                (self._infer, known.compute_infer.ns / 1e3),
                (self._output, known.compute_output.ns / 1e3),
            ):
                counter.labels(model, str(version)).set(value)
            for reason, count in known.closed.items():
                self._closed.labels(model, str(version), reason).set(count)
            for instance, count in known.by_instance.items():
                self._by_instance.labels(model, str(version), str(instance)).set(count)

    def exposition(self, now: Now = _UNKNOWN) -> bytes:
        """Everything in Prometheus' text format."""
        with self._scraping:
            self._take(now)
            text = generate_latest(self._registry).decode()
        text = re.sub(r"^(# \w+ )?\w+_created[ {].*\n", "", text, flags=re.MULTILINE)
        names = "|".join(self._counters)
        return re.sub(rf"^(# TYPE (?:{names})) gauge$", r"\1 counter", text, flags=re.MULTILINE).encode()

    def _take(self, now: Now) -> None:
        self._ready.set(now.ready)
        for gauge in (self._pending, self._model_ready, self._open):
            gauge.clear()
        for model, version, count in now.pending:
            self._pending.labels(model, str(version)).set(count)
        for model, version, ready in now.versions:
            self._model_ready.labels(model, str(version)).set(ready)
        for (model, version), series in list(self._series.items()):
            self._open.labels(model, str(version)).set(series.open)
        self._take_counts()
