"""One thread and one session: takes batches and executes them, one after the other."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from pasarela_server.backends.base import PartsSession, Session, WideSession
from pasarela_server.errors import BackendFailure, ServingError
from pasarela_server.request import Timings
from pasarela_server.scheduling.batch import Batch, BatchAnswer, gather, placed, split
from pasarela_server.scheduling.batcher import DynamicBatcher
from pasarela_server.scheduling.cores import UNBOUNDED, CoreBudget
from pasarela_server.scheduling.execution import Execution, OnExecution, nobody_listens
from pasarela_server.scheduling.wide import WideExecutions
from pasarela_server.tensor import Array

_log = logging.getLogger("pasarela_server.scheduling")


class ModelInstance:
    """Executes a model's batches on a thread of its own, until its batcher is closed and empty."""

    def __init__(
        self,
        name: str,
        session: Session,
        batcher: DynamicBatcher,
        clock: Callable[[], float] = time.monotonic,
        on_execution: OnExecution = nobody_listens,
        index: int = 0,
        cores: AbstractContextManager[object] = UNBOUNDED,
        budget: CoreBudget | None = None,
    ) -> None:
        self._name = name
        self._session = session
        self._parts_session = session if isinstance(session, PartsSession) else None
        self._batcher = batcher
        self._clock = clock
        self._on_execution = on_execution
        self._index = index
        self._cores = cores
        self._wide = WideExecutions(session, budget) if budget and isinstance(session, WideSession) else None
        self._thread = threading.Thread(target=self._run, name=f"instance-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self) -> None:
        """Waits until the thread has ended; close the batcher first."""
        self._thread.join()

    def _run(self) -> None:
        while self._run_once():
            pass

    def _run_once(self) -> bool:
        """One batch; False at the end. Nothing of it is held while the instance waits for the next."""
        batch = self._batcher.take(self._index)
        if batch is not None:
            with contextlib.ExitStack() as held:
                wide = self._wide is not None and self._wide.enter(batch, held)
                if not wide:
                    held.enter_context(self._cores)
                self.execute(batch, wide=wide)
        return batch is not None

    def execute(self, batch: Batch, *, wide: bool = False) -> None:
        """Runs one batch and resolves each of its futures, with its own rows or with the reason of the failure.

        Args:
            batch: What to run.
            wide: Whether to use more cores than one session has; they are the caller's.
        """
        marks_s = [self._clock()]
        try:
            infer = self._inference(batch, wide=wide)
            marks_s.append(self._clock())
            outputs = infer()
            marks_s.append(self._clock())
            answers = split(outputs, batch.entries)
            marks_s.append(self._clock())
        except Exception as error:  # noqa: BLE001 - whatever a framework raises, every waiter must hear of it
            self._fail(batch, error)
        else:
            input_ns, infer_ns, output_ns = (
                round((after_s - before_s) * 1e9) for before_s, after_s in itertools.pairwise(marks_s)
            )
            execution = Execution(batch.rows, input_ns, infer_ns, output_ns, batch.reason.value, self._index)
            self._on_execution(execution)
            self._answer(batch, answers, execution, marks_s[0])

    def _inference(self, batch: Batch, *, wide: bool) -> Callable[[], Mapping[str, Array]]:
        """What runs a batch; its inputs are gathered here unless the session does that itself."""
        if wide and self._wide is not None:
            return functools.partial(self._wide.session.infer_wide, gather(batch.entries))
        if self._parts_session is not None:
            return functools.partial(self._parts_session.infer_parts, [placed(entry.inputs) for entry in batch.entries])
        return functools.partial(self._session.infer, gather(batch.entries))

    def _answer(self, batch: Batch, answers: list[Mapping[str, Array]], execution: Execution, began_s: float) -> None:
        for entry, outputs in zip(batch.entries, answers, strict=True):
            timings = Timings(
                submitted_ns=round(entry.waiting.enqueued_s * 1e9),
                queue_ns=round((began_s - entry.waiting.enqueued_s) * 1e9),
                batch_ns=execution.input_ns,
                infer_ns=execution.infer_ns,
                split_ns=execution.output_ns,
                batch_size=execution.rows,
                close_reason=execution.close_reason,
                instance=execution.instance,
                batch_began_ns=round(began_s * 1e9),
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
