"""What a scrape reads, in Prometheus' text format: Triton's names, and histograms of our own beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override

from pasarela_server.observability.found import CONFIDENCES
from pasarela_server.observability.gpus import Gpus
from pasarela_server.observability.machine import Machine
from pasarela_server.observability.metrics import Metrics, Series
from pasarela_server.observability.stage_times import BOUNDS_S, ROWS, Counts
from pasarela_server.observability.statistics import VersionStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Version = tuple[str, int]
_LABELS = ("model", "version")
_COUNTERS = (
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_duration_us",
    "nv_inference_queue_duration_us",
    "nv_inference_compute_input_duration_us",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_compute_output_duration_us",
    "nv_energy_consumption",
    "pasarela_batches_closed",
    "pasarela_instance_batches",
    "pasarela_detections",
    "pasarela_processes_cpu_seconds",
)
"""Are counters by exactly these names: the library's own would have `_total` appended."""
_FIGURES: tuple[tuple[str, str, Callable[[VersionStatistics], float]], ...] = (
    ("nv_inference_request_success", "Requests that were answered", lambda each: each.success.count),
    ("nv_inference_count", "Inferences: a request of n rows counts n times", lambda each: each.inference_count),
    ("nv_inference_exec_count", "Executions: a batch counts once", lambda each: each.execution_count),
    ("nv_inference_request_duration_us", "Time from request to response", lambda each: each.success.ns / 1e3),
    ("nv_inference_queue_duration_us", "Time spent waiting for an instance", lambda each: each.queue.ns / 1e3),
    ("nv_inference_compute_input_duration_us", "Time spent on preparing inputs",
     lambda each: each.compute_input.ns / 1e3),
    ("nv_inference_compute_infer_duration_us", "Time spent in the backend", lambda each: each.compute_infer.ns / 1e3),
    ("nv_inference_compute_output_duration_us", "Time spent on outputs", lambda each: each.compute_output.ns / 1e3),
)  # fmt: skip
"""What the statistics say of each version."""


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


class Exposition:
    """Writes what the server's metrics hold. Thread-safe."""

    def __init__(self, metrics: Metrics) -> None:
        """Begins to measure how busy the machine is.

        Args:
            metrics: What is counted.
        """
        self._metrics = metrics
        self._surroundings = ProcessCollector(registry=None), Machine(), Gpus()

    def text(self, now: Now = _UNKNOWN) -> bytes:
        """Everything in Prometheus' text format.

        What Triton counts is taken from the statistics: both say the same.
        """
        registry = CollectorRegistry()
        for collector in (_Requests(self._metrics, now), *self._surroundings):
            registry.register(collector)
        text = generate_latest(registry).decode()
        names = "|".join(_COUNTERS)
        return re.sub(rf"^(# TYPE (?:{names})) gauge$", r"\1 counter", text, flags=re.MULTILINE).encode()


class _Requests(Collector):
    """Requests, versions and the server itself, as the library writes them; for one scrape."""

    def __init__(self, metrics: Metrics, now: Now) -> None:
        self._metrics = metrics
        self._now = now

    @override
    def collect(self) -> Iterable[Metric]:
        yield from _counted(self._metrics.statistics.all(), self._metrics.failures())
        yield from _versions(self._metrics, self._now)
        yield from _server(self._metrics, self._now)
        yield from _histograms(self._metrics.series())


def _counted(
    statistics: Mapping[_Version, VersionStatistics], failures: Mapping[_Version, Mapping[str, int]]
) -> Iterable[Metric]:
    failed = GaugeMetricFamily("nv_inference_request_failure", "Requests that failed", labels=(*_LABELS, "reason"))
    for version, by_reason in failures.items():
        for reason, count in by_reason.items():
            failed.add_metric((*_labels(version), reason), count)
    yield failed
    for name, documentation, read in _FIGURES:
        yield _gauge(name, documentation, [(version, read(known)) for version, known in statistics.items()])
    closed = GaugeMetricFamily(
        "pasarela_batches_closed", "Batches that were executed, by why closed", labels=(*_LABELS, "reason")
    )
    by_instance = GaugeMetricFamily(
        "pasarela_instance_batches", "Batches that an instance executed", labels=(*_LABELS, "instance")
    )
    for version, known in statistics.items():
        for reason, count in known.closed.items():
            closed.add_metric((*_labels(version), reason), count)
        for instance, count in known.by_instance.items():
            by_instance.add_metric((*_labels(version), str(instance)), count)
    yield closed
    yield by_instance


def _versions(metrics: Metrics, now: Now) -> Iterable[Metric]:
    loads = metrics.loads()
    yield _gauge(
        "nv_inference_pending_request_count",
        "Requests that wait for an instance",
        [((model, version), count) for model, version, count in now.pending],
    )
    yield _gauge(
        "nv_model_load_duration_secs",
        "Time that loading the version took",
        [(version, load.seconds) for version, load in loads.items()],
    )
    quality = GaugeMetricFamily(
        "pasarela_model_map",
        "mAP at IoU 0.50:0.95, as measured when the version was published",
        labels=(*_LABELS, "split"),
    )
    for version, load in loads.items():
        for split, value in load.quality.items():
            quality.add_metric((*_labels(version), split), value)
    yield quality
    yield _gauge(
        "pasarela_open_requests",
        "Requests that are being answered",
        [(version, series.open) for version, series in metrics.series().items()],
    )
    yield _gauge(
        "pasarela_model_ready",
        "1 if a version of a model can answer",
        [((model, version), ready) for model, version, ready in now.versions],
    )


def _server(metrics: Metrics, now: Now) -> Iterable[Metric]:
    yield GaugeMetricFamily("pasarela_ready", "1 if the server answers requests, as /readyz", now.ready)
    streams = GaugeMetricFamily("pasarela_open_streams", "Streams that clients have open", labels=("method",))
    for method, count in metrics.streams().items():
        streams.add_metric((method,), count)
    yield streams
    built = metrics.built
    if built:
        info = GaugeMetricFamily("pasarela_build_info", "Versions of what is running; always 1", labels=tuple(built))
        info.add_metric(tuple(built.values()), 1)
        yield info
    if metrics.expires_s is not None:
        yield GaugeMetricFamily(
            "pasarela_certificate_expires_timestamp_seconds",
            "When the server's certificate expires",
            metrics.expires_s(),
        )


def _histograms(all_series: Mapping[_Version, Series]) -> Iterable[Metric]:
    stages = HistogramMetricFamily(
        "pasarela_request_stage_seconds", "Time of a request by stage", labels=(*_LABELS, "stage")
    )
    rows = HistogramMetricFamily("pasarela_batch_rows", "Rows of the batch that a request travelled in", labels=_LABELS)
    confidences = HistogramMetricFamily(
        "pasarela_detection_confidence", "Confidence of the objects that were found", labels=_LABELS
    )
    objects = GaugeMetricFamily("pasarela_detections", "Objects that were found, by class", labels=(*_LABELS, "class"))
    for version, series in all_series.items():
        labels = _labels(version)
        for stage, counts, sum_s in series.times.stages():
            _add_histogram(stages, (*labels, stage), BOUNDS_S, counts, sum_s)
        _add_histogram(rows, labels, ROWS, *series.times.rows())
        by_class = series.found.by_class()
        for name, count in by_class.items():
            objects.add_metric((*labels, name), count)
        if by_class:
            _add_histogram(confidences, labels, CONFIDENCES, *series.found.confidences())
    return (stages, rows, objects, confidences)


def _gauge(name: str, documentation: str, values: Iterable[tuple[_Version, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=_LABELS)
    for version, value in values:
        family.add_metric(_labels(version), value)
    return family


def _labels(version: _Version) -> tuple[str, str]:
    return version[0], str(version[1])


def _add_histogram(
    family: HistogramMetricFamily, labels: Sequence[str], bounds: Sequence[float], counts: Counts, total: float
) -> None:
    """Adds a histogram to a metric, as Prometheus wants it: each bucket holds those before it.

    Args:
        family: The metric.
        labels: Values of its labels.
        bounds: Upper bounds of the buckets, but for the last.
        counts: What each bucket holds.
        total: The sum of the values that were counted.
    """
    names = [*map(floatToGoString, bounds), "+Inf"]
    family.add_metric(labels, list(zip(names, np.cumsum(counts).tolist(), strict=True)), total)
