"""Histograms of where the time of requests went, cheap enough to be fed by every request.

A histogram of the library costs a lock and a search for each observation, and a request has a dozen of them. Here a
request only leaves its timings; they are sorted into the buckets many at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from pasarela_server.request import Timings

STAGES = (
    "request",
    "receive",
    "decode_queue",
    "decode",
    "letterbox",
    "queue",
    "batch",
    "infer",
    "split",
    "nms_queue",
    "nms",
    "encode",
)
"""What is told apart; `request` is the whole, the others are the fields of `Timings`."""
BOUNDS_S = (
    *(0.00001, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
TOGETHER = 128
"""Requests that are sorted at a time: it must not hold up the event loop."""
_BOUNDS_NS = np.array([round(bound_s * 1e9) for bound_s in BOUNDS_S])
_COLUMNS = np.arange(len(STAGES)) * (len(BOUNDS_S) + 1)
_taken = itemgetter(
    *(Timings._fields.index(f"{stage}_ns") for stage in STAGES[1:]), Timings._fields.index("batch_size")
)

Counts = npt.NDArray[np.int64]
"""By bucket; the last holds what is above all bounds."""


class StageTimes:
    """What the answered requests of one version took. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh: deque[tuple[int, Timings]] = deque()
        self._times: Counts = np.zeros((len(STAGES), len(BOUNDS_S) + 1), np.int64)
        self._sums_ns: Counts = np.zeros(len(STAGES), np.int64)
        self._rows: Counts = np.zeros(len(ROWS) + 1, np.int64)
        self._sum_rows = 0

    @property
    def unsorted(self) -> int:
        """Requests that only have left their timings: few, however many come."""
        return len(self._fresh)

    def add(self, duration_ns: int, timings: Timings) -> None:
        """Counts a request.

        Args:
            duration_ns: The whole of it.
            timings: A stage of 0 was not passed, and is not counted.
        """
        self._fresh.append((duration_ns, timings))
        if len(self._fresh) >= TOGETHER:
            with self._lock:
                self._sort()

    def stages(self) -> Iterable[tuple[str, Counts, float]]:
        """Each stage that was passed: its name, how many requests each bucket holds, and the sum in seconds."""
        with self._lock:
            self._sort()
            times, sums_ns = self._times.copy(), self._sums_ns.copy()
        for stage, counts, sum_ns in zip(STAGES, times, sums_ns, strict=True):
            if counts.any():
                yield stage, counts, float(sum_ns) / 1e9

    def rows(self) -> tuple[Counts, int]:
        """How many requests travelled in batches of the rows of each bucket, and the sum of those rows."""
        with self._lock:
            self._sort()
            return self._rows.copy(), self._sum_rows

    def _sort(self) -> None:
        """Sorts what is fresh into the buckets, under the lock. What comes meanwhile is left for the next time."""
        fresh = [self._fresh.popleft() for _ in range(len(self._fresh))]
        if not fresh:
            return
        table = np.array([(duration_ns, *_taken(timings)) for duration_ns, timings in fresh], np.int64)
        times_ns, rows = table[:, :-1], table[:, -1]
        places = np.searchsorted(_BOUNDS_NS, times_ns) + _COLUMNS
        self._times += np.bincount(places[times_ns > 0], minlength=self._times.size).reshape(self._times.shape)
        self._sums_ns += times_ns.sum(axis=0)
        self._rows += np.bincount(np.searchsorted(ROWS, rows[rows > 0]), minlength=self._rows.size)
        self._sum_rows += int(rows.sum())
