"""Writes traces to disk on a thread of its own; what lies on disk is a whole JSON list at any moment."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_LOG = logging.getLogger("pasarela_server.observability")

_MOST_WAITING = 10_000
"""Traces that may wait for a slow disk; more are dropped."""

Trace = Iterable[Mapping[str, Any]]


class TraceFile:
    """Takes traces from any thread. What the file held before is replaced when the first trace comes."""

    def __init__(self, path: Path) -> None:
        """Builds the writer; its thread starts with the first trace."""
        self.path = path
        self._waiting: queue.Queue[tuple[Trace, int] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._starting = threading.Lock()
        self._closed = False
        self._dropped = 0

    def add(self, trace: Trace, traces_per_file: int) -> None:
        """Hands a trace over.

        Args:
            trace: Its objects, which nobody changes any more.
            traces_per_file: 0 puts it into `path`; else into files whose names end with a number, so many in each.
        """
        with self._starting:
            if self._closed:
                return
            if not self._thread.is_alive():
                self._thread.start()
        try:
            self._waiting.put_nowait((trace, traces_per_file))
        except queue.Full:
            self._dropped += 1
            if self._dropped == 1:
                _LOG.warning("traces come faster than the trace file takes them: some are dropped")

    def close(self) -> None:
        """Writes what waits and ends the thread. Blocks."""
        with self._starting:
            started, self._closed = not self._closed and self._thread.is_alive(), True
        if started:
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        with contextlib.ExitStack() as files:
            whole: _JsonList | None = None
            part: _JsonList | None = None
            number = 0
            failing = False
            while (item := self._waiting.get()) is not None:
                trace, traces_per_file = item
                try:
                    if not traces_per_file:
                        whole = whole or files.enter_context(_JsonList(self.path))
                        whole.append(trace)
                        failing = False
                        continue
                    if part is None or part.traces >= traces_per_file:
                        if part is not None:
                            part.close()
                        part = files.enter_context(_JsonList(self.path.with_name(f"{self.path.name}.{number}")))
                        number += 1
                    part.append(trace)
                    failing = False
                except OSError as error:
                    if not failing:
                        _LOG.error("traces cannot be written to %s: %s", self.path, error.strerror or error)
                    failing = True


class _JsonList(contextlib.AbstractContextManager["_JsonList"]):
    """A JSON list on disk that grows. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self.traces = 0
        self._file: BinaryIO = path.open("wb")
        self._end = self._file.write(b"[")
        self._file.write(b"]\n")
        self._file.flush()

    def append(self, trace: Trace) -> None:
        """Adds a trace, and the list's end after it, in one write."""
        objects = ",\n".join(json.dumps(one, separators=(",", ":")) for one in trace).encode()
        text = (b",\n" if self.traces else b"\n") + objects
        self._file.seek(self._end)
        self._file.write(text + b"\n]\n")
        self._file.flush()
        self._end += len(text)
        self.traces += 1

    def close(self) -> None:
        self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()
