"""What detectors find: how many objects of each class, and how sure they were. Sorted many images at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from itertools import groupby

import numpy as np
import numpy.typing as npt

from pasarela_server.request import Found

CONFIDENCES = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
TOGETHER = 128
"""Images that are sorted at a time: it must not hold up the event loop."""
_BOUNDS = np.array(CONFIDENCES, np.float32)

_Counts = npt.NDArray[np.int64]


class FoundObjects:
    """What one version has found. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh: deque[Found] = deque()
        self._by_class: dict[str, int] = {}
        self._confidences: _Counts = np.zeros(len(CONFIDENCES) + 1, np.int64)
        self._sum = 0.0

    @property
    def unsorted(self) -> int:
        """Images that only have left what was found: few, however many come."""
        return len(self._fresh)

    def add(self, found: Found) -> None:
        """Counts what was found in an image; nobody changes the arrays any more."""
        self._fresh.append(found)
        if len(self._fresh) >= TOGETHER:
            with self._lock:
                self._sort()

    def by_class(self) -> Mapping[str, int]:
        """How many objects of each class were found; classes of which there was none are left out."""
        with self._lock:
            self._sort()
            return dict(self._by_class)

    def confidences(self) -> tuple[_Counts, float]:
        """How many objects each bucket of `CONFIDENCES` holds, and the sum of their confidences."""
        with self._lock:
            self._sort()
            return self._confidences.copy(), self._sum

    def _sort(self) -> None:
        """Sorts what is fresh, under the lock. What comes meanwhile is left for the next time."""
        fresh = [self._fresh.popleft() for _ in range(len(self._fresh))]
        for _, alike in groupby(fresh, key=lambda found: id(found.names)):
            group = list(alike)
            names = group[0].names
            counts = np.bincount(np.concatenate([found.class_ids for found in group]), minlength=len(names))
            for class_id in np.flatnonzero(counts).tolist():
                name = names[class_id]
                self._by_class[name] = self._by_class.get(name, 0) + int(counts[class_id])
        if fresh:
            scores = np.concatenate([found.scores for found in fresh])
            places = np.searchsorted(_BOUNDS, scores)
            self._confidences += np.bincount(places, minlength=self._confidences.size)
            self._sum += float(scores.sum(dtype=np.float64))
