"""The tuner's side of a process in which a candidate is measured: starts it, gives orders, survives its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from pasarela_server.tuning.candidate import Candidate
from pasarela_server.tuning.measurement import Slice
from pasarela_server.tuning.orders import Failed, Job, Load, Loaded, Measure
from pasarela_server.tuning.search import CandidateFailed

_LOAD_LIMIT_S = 600.0
_SLICE_LIMIT_S = 60.0
"""Beyond the longest that a slice takes by itself."""
_LONGEST_SLICE = 8
_LAST_S = 5.0


class Probe:
    """A process in which a candidate is loaded: `with Probe(job, candidate) as probe: probe.measure(4, 1.0)`.

    The process ends with the block, whatever happens in it. It has a session of its own, so that Ctrl-C reaches the
    tuner alone.
    """

    def __init__(self, job: Job, candidate: Candidate) -> None:
        """Builds it; the block starts the process.

        Args:
            job: What to load and to send.
            candidate: With which settings.
        """
        self._job = job
        self._candidate = candidate

    def __enter__(self) -> Self:
        """Starts the process and loads the model.

        Raises:
            CandidateFailed: It cannot be loaded.
        """
        mine, its = socket.socketpair()
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pasarela_server.tuning.probe", str(its.fileno())],
                # It finds modules where this process does: not beside whatever lies in the working directory.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                start_new_session=True,
            )
        self._orders = Connection(mine.detach())
        try:
            self.loaded: Loaded = self._ask(Load(self._job, self._candidate), _LOAD_LIMIT_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process."""
        self._end()

    @property
    def process(self) -> int:
        """The id of the process."""
        return self._process.pid

    def measure(self, clients: int, seconds: float) -> Slice:
        """Puts load on the model.

        Raises:
            CandidateFailed: A request failed, the process ended, or no answer came in a multiple of the time.
        """
        measured: Slice = self._ask(Measure(clients, seconds), _LONGEST_SLICE * seconds + _SLICE_LIMIT_S)
        return measured

    def _ask(self, order: Load | Measure, limit_s: float) -> Any:
        try:
            self._orders.send(order)
            if not self._orders.poll(limit_s):
                raise CandidateFailed(f"no answer in {limit_s:.0f} s")
            answer = self._orders.recv()
        except (EOFError, ConnectionError):
            raise CandidateFailed(self._why_it_ended()) from None
        if isinstance(answer, Failed):
            raise CandidateFailed(answer.reason, backend_missing=answer.backend_missing)
        return answer

    def _why_it_ended(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        if code == -signal.SIGKILL:
            return "its process was killed, as happens when memory runs out" + last
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        return f"its process ended {how}{last}"

    def _end(self) -> None:
        with self._said, self._orders:
            try:
                self._orders.send(None)
                self._process.wait(_LAST_S)
            except (OSError, subprocess.TimeoutExpired):
                pass
            finally:
                if self._process.poll() is None:
                    self._process.kill()
                    self._process.wait()
