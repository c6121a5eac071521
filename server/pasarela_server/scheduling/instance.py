"""One thread and one session: takes batches and executes them, one after the other."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from pasarela_server.backends.base import Session
from pasarela_server.errors import BackendFailure, ServingError
from pasarela_server.request import Timings
from pasarela_server.scheduling.batch import Batch, BatchAnswer, gather, split
from pasarela_server.scheduling.batcher import DynamicBatcher
from pasarela_server.tensor import Array

_log = logging.getLogger("pasarela_server.scheduling")


class ModelInstance:
    """Executes a model's batches on a thread of its own, until its batcher is closed and empty."""

    def __init__(
        self, name: str, session: Session, batcher: DynamicBatcher, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._session = session
        self._batcher = batcher
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name=f"instance-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self) -> None:
        """Waits until the thread has ended; close the batcher first."""
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._batcher.take()) is not None:
            self.execute(batch)

    def execute(self, batch: Batch) -> None:
        """Runs one batch and resolves each of its futures, with its own rows or with the reason of the failure."""
        started_s = self._clock()
        try:
            answers = split(self._session.infer(gather(batch.entries)), batch.entries)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises, every waiter must hear of it
            self._fail(batch, error)
        else:
            self._answer(batch, answers, infer_s=self._clock() - started_s)

    def _answer(self, batch: Batch, answers: list[Mapping[str, Array]], infer_s: float) -> None:
        rows = batch.rows
        for entry, outputs in zip(batch.entries, answers, strict=True):
            timings = Timings(
                queue_ns=round((batch.taken_s - entry.waiting.enqueued_s) * 1e9),
                infer_ns=round(infer_s * 1e9),
                batch_size=rows,
            )
            entry.future.set_result(BatchAnswer(outputs, timings))

    def _fail(self, batch: Batch, error: Exception) -> None:
        if not isinstance(error, ServingError):
            _log.error("model '%s' failed on a batch of %d rows", self._name, batch.rows, exc_info=error)
        for entry in batch.entries:
            # An exception of its own for each waiter: each will get a traceback of its own.
            failure = (
                type(error)(*error.args)
                if isinstance(error, ServingError)
                else BackendFailure(f"model '{self._name}' failed while it computed; the server's log says why")
            )
            failure.__cause__ = error
            entry.future.set_exception(failure)
