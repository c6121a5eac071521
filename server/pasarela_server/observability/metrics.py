"""Prometheus metrics: Triton's names, so that existing boards work, and histograms of our own beside them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from pasarela_server.errors import BackendFailure, DeadlineExpired, QueueFull, RequestCancelled, ServerStopping
from pasarela_server.request import Timings

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LABELS = ("model", "version")
_STAGES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
_REASONS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("CANCELED", (asyncio.CancelledError, RequestCancelled)),
    ("REJECTED", (QueueFull, DeadlineExpired, ServerStopping)),
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


class Metrics:
    """The server's metrics, in a registry of their own. Thread-safe."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._registry = CollectorRegistry()
        self._counters: list[str] = []
        self._success = self._counter("nv_inference_request_success", "Requests that were answered")
        self._failure = self._counter("nv_inference_request_failure", "Requests that failed", "reason")
        self._inferences = self._counter("nv_inference_count", "Inferences: a request of n rows counts n times")
        self._executions = self._counter("nv_inference_exec_count", "Executions: a batch counts once")
        self._request = self._counter("nv_inference_request_duration_us", "Time from request to response")
        self._queue = self._counter("nv_inference_queue_duration_us", "Time spent waiting for an instance")
        self._input = self._counter("nv_inference_compute_input_duration_us", "Time spent on preparing inputs")
        self._infer = self._counter("nv_inference_compute_infer_duration_us", "Time spent in the backend")
        self._output = self._counter("nv_inference_compute_output_duration_us", "Time spent on outputs")
        self._open = Gauge(
            "pasarela_open_requests", "Requests that are being answered", _LABELS, registry=self._registry
        )
        self._stage = Histogram(
            "pasarela_request_stage_seconds",
            "Time of a request by stage",
            (*_LABELS, "stage"),
            buckets=_STAGES_S,
            registry=self._registry,
        )
        self._batch_rows = Histogram(
            "pasarela_batch_rows",
            "Rows of the batch that a request travelled in",
            _LABELS,
            buckets=_ROWS,
            registry=self._registry,
        )

    def _counter(self, name: str, documentation: str, *labels: str) -> Gauge:
        """A counter of exactly that name: the library's own Counter would append `_total` to it."""
        self._counters.append(name)
        return Gauge(name, documentation, (*_LABELS, *labels), registry=self._registry)

    @contextlib.contextmanager
    def request(self, model: str, version: int) -> Iterator[Outcome]:
        """Measures one request of a model that exists; the block fills in what came of it."""
        labels = (model, str(version))
        outcome = Outcome()
        started_ns = self._clock_ns()
        self._open.labels(*labels).inc()
        try:
            yield outcome
        except BaseException as error:
            self._failure.labels(*labels, failure_reason(error)).inc()
            raise
        else:
            self._succeeded(labels, outcome, self._clock_ns() - started_ns)
        finally:
            self._open.labels(*labels).dec()

    def _succeeded(self, labels: tuple[str, str], outcome: Outcome, duration_ns: int) -> None:
        timings = outcome.timings
        self._success.labels(*labels).inc()
        self._inferences.labels(*labels).inc(outcome.rows)
        if timings.batch_size:
            # Each request adds its share of the batch, so that the shares of one batch add up to one execution.
            self._executions.labels(*labels).inc(outcome.rows / timings.batch_size)
            self._batch_rows.labels(*labels).observe(timings.batch_size)
        for counter, stage, ns in (
            (self._request, "request", duration_ns),
            (self._queue, "queue", timings.queue_ns),
            (self._input, "preprocess", timings.preprocess_ns),
            (self._infer, "infer", timings.infer_ns),
            (self._output, "postprocess", timings.postprocess_ns),
        ):
            counter.labels(*labels).inc(ns / 1e3)
            self._stage.labels(*labels, stage).observe(ns / 1e9)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        text = re.sub(
            r"^(# \w+ )?\w+_created[ {].*\n", "", generate_latest(self._registry).decode(), flags=re.MULTILINE
        )
        names = "|".join(self._counters)
        return re.sub(rf"^(# TYPE (?:{names})) gauge$", r"\1 counter", text, flags=re.MULTILINE).encode()
