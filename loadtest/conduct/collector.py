"""What comes back from those who send: written down at once, and counted for those who watch."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from pathlib import Path
from typing import Any, TextIO

from loadtest.benchmark.spread import percentile
from loadtest.records import BAD, RequestRecord, request_file

_RECENT_S = 5.0


class Recent:
    """How things go: counts of all, and the latencies of the last seconds."""

    def __init__(self) -> None:
        """Has seen nothing."""
        self.outcomes: Counter[str] = Counter()
        self._answered: deque[tuple[float, float]] = deque()

    def add(self, record: RequestRecord) -> None:
        """One more."""
        self.outcomes[record.outcome] += 1
        latency_s = record.latency_s
        if record.answered and record.done_s is not None and latency_s is not None:
            self._answered.append((record.done_s, latency_s))

    def show(self, now_s: float) -> str:
        """In a few words."""
        while self._answered and self._answered[0][0] < now_s - _RECENT_S:
            self._answered.popleft()
        latencies = [latency_s * 1000 for _, latency_s in self._answered]
        words = [f"{sum(self.outcomes.values())} requests", f"{len(latencies) / min(_RECENT_S, max(now_s, 1.0)):.1f}/s"]
        if latencies:
            words += [f"p50 {percentile(latencies, 0.5):.0f} ms", f"p99 {percentile(latencies, 0.99):.0f} ms"]
        words += [f"{self.outcomes[name]} {name}" for name in self.outcomes if name in BAD]
        return "  ".join(words)


class Collector:
    """Takes lots of records of all who send. For greenlets of one thread."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        """Writes nothing yet.

        Args:
            folder: Of the run.
            keep: Whether to keep the records, too, for who decides by them what comes next.
        """
        self.recent = Recent()
        self.measured: dict[int, list[RequestRecord]] = {}
        self.overrun = 0
        self.quiet: dict[int, int] = {}
        """By share: the index of the last step of which everything has ended."""
        self.ended: set[int] = set()
        self._folder = folder
        self._keep = keep
        self._files: dict[int, TextIO] = {}
        self._stack = contextlib.ExitStack()

    def take(self, data: dict[str, Any]) -> None:
        """A lot of records, as lines.

        Raises:
            OSError: They cannot be written.
        """
        share, lines = data["share"], data["lines"]
        if share not in self._files:
            self._files[share] = self._stack.enter_context(
                request_file(self._folder, share).open("w", encoding="utf-8")
            )
        self._files[share].write(lines)
        self._files[share].flush()
        for line in lines.split("\n")[:-1]:
            record = RequestRecord.from_json(line)
            self.recent.add(record)
            self.overrun += record.outcome == "unsent" and record.stream is None
            if self._keep:
                self.measured.setdefault(record.step, []).append(record)

    def close(self) -> None:
        """Closes the files; what could not be written before cannot be written now, and was told."""
        with contextlib.suppress(OSError):
            self._stack.close()
