"""What each version has done since it was loaded: counts and durations, as Triton's clients read them.

Requests and executions only leave what is told of them; they are counted many at a time, or when somebody asks.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pasarela_server.observability.record import ExecutionTimes, RequestRecord

TOGETHER = 64
"""Requests, or executions, that are counted at a time: it must not hold up the event loop."""


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something happened, and how long that took in all."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Executions of one batch size."""

    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


@dataclass(frozen=True, slots=True)
class VersionStatistics:
    """What one version has done."""

    last_inference_ms: int = 0
    """Milliseconds since the epoch; 0 if there was none."""
    inference_count: int = 0
    """Rows that were executed, for its own clients or for a detection model's."""
    execution_count: int = 0
    """Batches that were executed."""
    success: Duration = Duration()
    """Requests that were answered, from request to response; the stages below count the same requests."""
    fail: Duration = Duration()
    queue: Duration = Duration()
    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()
    batches: Mapping[int, BatchStatistics] = field(default_factory=dict)
    """By rows, smallest first."""
    closed: Mapping[str, int] = field(default_factory=dict)
    """Batches that were executed, by why they were closed."""
    by_instance: Mapping[int, int] = field(default_factory=dict)
    """Batches that were executed, by the instance that did."""


class Statistics:
    """Counts for every version that was used. Thread-safe; nothing here blocks.

    Versions that execute themselves report each execution. A version that has another one execute for it (a detection
    model) reports none: each of its requests then counts as its share of the batch that it travelled in.
    """

    def __init__(self, clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        self._clock_ms = clock_ms
        self._tallies: dict[tuple[str, int], _Tally] = {}

    def request(self, record: RequestRecord) -> None:
        """Counts a request that has ended."""
        self._tally((record.model, record.version)).leave_request(record, self._clock_ms())

    def executed(self, model: str, version: int, execution: ExecutionTimes) -> None:
        """Counts a batch that a version has executed."""
        self._tally((model, version)).leave_execution(execution, self._clock_ms())

    def forget(self, model: str, version: int) -> None:
        """Drops what is known of a version; call it when the version is unloaded."""
        self._tallies.pop((model, version), None)

    def of(self, model: str, version: int) -> VersionStatistics:
        """What a version has done; all zero for one that was not used."""
        tally = self._tallies.get((model, version))
        return VersionStatistics() if tally is None else tally.statistics()

    def all(self) -> Mapping[tuple[str, int], VersionStatistics]:
        """What each model and version that was used has done."""
        return {key: tally.statistics() for key, tally in dict(self._tallies).items()}

    def _tally(self, key: tuple[str, int]) -> _Tally:
        return self._tallies.get(key) or self._tallies.setdefault(key, _Tally())


class _Sum:
    """A duration that grows."""

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns

    def duration(self) -> Duration:
        return Duration(self.count, self.ns)


class _Batches:
    """Executions by batch size, each counted whole or in shares that add up to a whole."""

    def __init__(self) -> None:
        self._by_rows: dict[int, tuple[float, float, float, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_rows)

    def add(self, rows: int, share: float, input_ns: int, infer_ns: int, output_ns: int) -> None:
        count, inputs, infer, output = self._by_rows.get(rows, (0.0, 0.0, 0.0, 0.0))
        self._by_rows[rows] = (
            count + share,
            inputs + share * input_ns,
            infer + share * infer_ns,
            output + share * output_ns,
        )

    def count(self) -> int:
        return sum(_whole(count) for count, *_ in self._by_rows.values())

    def rows(self) -> int:
        return sum(rows * _whole(count) for rows, (count, *_) in self._by_rows.items())

    def statistics(self) -> Mapping[int, BatchStatistics]:
        return {
            rows: BatchStatistics(*(Duration(_whole(count), round(ns)) for ns in times))
            for rows, (count, *times) in sorted(self._by_rows.items())
        }


def _whole(shares: float) -> int:
    """Executions that shares amount to: an execution of which one share is known has happened."""
    return math.ceil(shares - 1e-6)


class _Tally:
    """What `Statistics` keeps of one version. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: deque[RequestRecord] = deque()
        """Requests that have not been counted yet."""
        self._run: deque[ExecutionTimes] = deque()
        """Executions that have not been counted yet."""
        self._executed, self._shared = _Batches(), _Batches()
        self._fail = _Sum()
        self._answered = 0
        self._request_ns = self._queue_ns = self._input_ns = self._infer_ns = self._output_ns = 0
        self._closed: Counter[str] = Counter()
        self._by_instance: Counter[int] = Counter()
        self._answered_rows = 0
        self._last_ms = 0

    def leave_request(self, record: RequestRecord, now_ms: int) -> None:
        if record.error is None:
            self._last_ms = now_ms
        self._ended.append(record)
        if len(self._ended) >= TOGETHER:
            with self._lock:
                self._count()

    def leave_execution(self, execution: ExecutionTimes, now_ms: int) -> None:
        self._last_ms = now_ms
        self._run.append(execution)
        if len(self._run) >= TOGETHER:
            with self._lock:
                self._count()

    def statistics(self) -> VersionStatistics:
        with self._lock:
            self._count()
            return self._statistics()

    def _count(self) -> None:
        """Counts what is here, under the lock; executions first, as they come before the requests that they answer."""
        for _ in range(len(self._run)):
            self._add_execution(self._run.popleft())
        for _ in range(len(self._ended)):
            self._add_request(self._ended.popleft())

    def _add_execution(self, execution: ExecutionTimes) -> None:
        self._executed.add(execution.rows, 1.0, execution.input_ns, execution.infer_ns, execution.output_ns)
        self._closed[execution.close_reason] += 1
        self._by_instance[execution.instance] += 1

    def _add_request(self, record: RequestRecord) -> None:
        if record.failed:
            self._fail.add(record.duration_ns)
            return
        timings = record.timings
        input_ns, infer_ns, output_ns = timings.preprocess_ns, timings.infer_ns, timings.postprocess_ns
        self._answered += 1
        self._answered_rows += record.rows
        self._request_ns += record.duration_ns
        self._queue_ns += timings.waiting_ns
        self._input_ns += input_ns
        self._infer_ns += infer_ns
        self._output_ns += output_ns
        if timings.batch_size and not self._executed:
            self._shared.add(timings.batch_size, record.rows / timings.batch_size, input_ns, infer_ns, output_ns)

    def _statistics(self) -> VersionStatistics:
        batches = self._executed or self._shared
        return VersionStatistics(
            last_inference_ms=self._last_ms,
            inference_count=self._executed.rows() if self._executed else self._answered_rows,
            execution_count=batches.count(),
            success=Duration(self._answered, self._request_ns),
            fail=self._fail.duration(),
            queue=Duration(self._answered, self._queue_ns),
            compute_input=Duration(self._answered, self._input_ns),
            compute_infer=Duration(self._answered, self._infer_ns),
            compute_output=Duration(self._answered, self._output_ns),
            batches=batches.statistics(),
            closed=dict(self._closed),
            by_instance=dict(sorted(self._by_instance.items())),
        )
