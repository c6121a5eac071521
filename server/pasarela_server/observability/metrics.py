"""Prometheus metrics: Triton's names, so that existing boards work, and histograms of our own beside them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from pasarela_server.errors import (
    BackendFailure,
    DeadlineExpired,
    QueueFull,
    QueueTimeout,
    RequestCancelled,
    ServerStopping,
)
from pasarela_server.observability.record import ExecutionTimes, RequestRecord
from pasarela_server.observability.statistics import Statistics
from pasarela_server.request import Timings

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LABELS = ("model", "version")
_STAGES = ("request", "queue", "preprocess", "infer", "postprocess")
_STAGES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
_REASONS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("CANCELED", (asyncio.CancelledError, RequestCancelled)),
    ("REJECTED", (QueueFull, QueueTimeout, DeadlineExpired, ServerStopping)),
    ("BACKEND", (BackendFailure,)),
)


def failure_reason(error: BaseException) -> str:
    """Triton's word for why a request failed: REJECTED, CANCELED, BACKEND or OTHER."""
    return next((reason for reason, kinds in _REASONS if isinstance(error, kinds)), "OTHER")


@dataclass(slots=True)
class Outcome:
    """What the code that answers a request fills in while `Metrics.request` measures it."""

    timings: Timings = field(default_factory=Timings)
    rows: int = 1
    """Inferences in the request: the size of its batch dimension."""


@dataclass(frozen=True, slots=True)
class _Series:
    """What grows with each request of one version, looked up once: to look it up costs more than to count."""

    open: Gauge
    batch_rows: Histogram
    stages: tuple[Histogram, ...]
    """In the order of `_STAGES`."""


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
        self._clock_ns = clock_ns
        self._statistics = Statistics() if statistics is None else statistics
        self._listeners = (self._statistics.request, *listeners)
        self._registry = CollectorRegistry()
        self._counters: list[str] = []
        self._by_version: list[Gauge | Histogram] = []
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
        self._open = self._gauge("pasarela_open_requests", "Requests that are being answered")
        self._stage = self._histogram(
            "pasarela_request_stage_seconds", "Time of a request by stage", _STAGES_S, "stage"
        )
        self._batch_rows = self._histogram(
            "pasarela_batch_rows", "Rows of the batch that a request travelled in", _ROWS
        )

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        gauge = Gauge(name, documentation, (*_LABELS, *labels), registry=self._registry)
        self._by_version.append(gauge)
        return gauge

    def _counter(self, name: str, documentation: str, *labels: str) -> Gauge:
        """A counter of exactly that name: the library's own Counter would append `_total` to it."""
        self._counters.append(name)
        return self._gauge(name, documentation, *labels)

    def _histogram(self, name: str, documentation: str, buckets: Sequence[float], *labels: str) -> Histogram:
        histogram = Histogram(name, documentation, (*_LABELS, *labels), buckets=buckets, registry=self._registry)
        self._by_version.append(histogram)
        return histogram

    @property
    def statistics(self) -> Statistics:
        """What each version has done."""
        return self._statistics

    @contextlib.contextmanager
    def request(self, model: str, version: int, request_id: str = "") -> Iterator[Outcome]:
        """Measures one request of a model that exists; the block fills in what came of it."""
        series = self._series.get((model, version)) or self._add_series(model, version)
        outcome = Outcome()
        failed = True
        started_ns = self._clock_ns()
        series.open.inc()
        try:
            yield outcome
            failed = False
        except BaseException as error:
            self._failure.labels(model, str(version), failure_reason(error)).inc()
            raise
        finally:
            series.open.dec()
            timings = Timings() if failed else outcome.timings
            record = RequestRecord(
                model, version, request_id, started_ns, self._clock_ns(), outcome.rows, timings, failed
            )
            if not failed:
                _observe(series, record)
            for listener in self._listeners:
                listener(record)

    def loaded(self, model: str, version: int, seconds: float) -> None:
        """Says how long loading a version took."""
        self._load.labels(model, str(version)).set(seconds)

    def executed(self, model: str, version: int, execution: ExecutionTimes) -> None:
        """Counts a batch that a version has executed."""
        self._statistics.executed(model, version, execution)

    def forget(self, model: str, version: int) -> None:
        """Drops what is known of a version, the statistics included; call it when the version is unloaded."""
        self._statistics.forget(model, version)
        self._series.pop((model, version), None)
        for metric in self._by_version:
            metric.remove_by_labels({"model": model, "version": str(version)})

    def _add_series(self, model: str, version: int) -> _Series:
        labels = (model, str(version))
        stages = tuple(self._stage.labels(*labels, stage) for stage in _STAGES)
        series = _Series(self._open.labels(*labels), self._batch_rows.labels(*labels), stages)
        self._series[model, version] = series
        return series

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

    def exposition(self, pending: Iterable[tuple[str, int, int]] = ()) -> bytes:
        """Everything in Prometheus' text format.

        Args:
            pending: Model, version and how many requests wait for an instance of it.
        """
        self._pending.clear()
        for model, version, count in pending:
            self._pending.labels(model, str(version)).set(count)
        self._take_counts()
        text = re.sub(
            r"^(# \w+ )?\w+_created[ {].*\n", "", generate_latest(self._registry).decode(), flags=re.MULTILINE
        )
        names = "|".join(self._counters)
        return re.sub(rf"^(# TYPE (?:{names})) gauge$", r"\1 counter", text, flags=re.MULTILINE).encode()


def _observe(series: _Series, record: RequestRecord) -> None:
    """Puts a request that was answered into the histograms."""
    timings = record.timings
    if timings.batch_size:
        series.batch_rows.observe(timings.batch_size)
    times_ns = (
        record.duration_ns,
        timings.waiting_ns,
        timings.preprocess_ns,
        timings.infer_ns,
        timings.postprocess_ns,
    )
    for stage, ns in zip(series.stages, times_ns, strict=True):
        stage.observe(ns / 1e9)
