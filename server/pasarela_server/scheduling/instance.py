"""One thread and one session: takes batches and executes them, one after the other.

Whatever happens there, each request of a batch is answered once, and the thread goes on: by itself where Python still
can, and otherwise by another that takes its place (see `Scheduler`).
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pasarela_server.backends.base import PartsSession, Session, WideSession
from pasarela_server.backends.outputs import OutputCheck
from pasarela_server.errors import BackendFailure, OutOfMemory, ServingError
from pasarela_server.request import Timings
from pasarela_server.scheduling.batch import Batch, BatchAnswer, gather, placed, split
from pasarela_server.scheduling.batcher import DynamicBatcher, Loan
from pasarela_server.scheduling.cores import UNBOUNDED, CoreBudget
from pasarela_server.scheduling.execution import Execution, OnExecution, nobody_listens
from pasarela_server.scheduling.policy import CloseReason
from pasarela_server.scheduling.running import Running
from pasarela_server.scheduling.wide import WideExecutions
from pasarela_server.tensor import Array

_log = logging.getLogger("pasarela_server.scheduling")

_PAUSE_S = 0.05


_THREAD = "instance-"


def executing() -> bool:
    """Whether the thread of any instance of this process is there: one that hangs outlives its model.

    A process that lets go of what such a thread uses aborts.
    """
    return any(thread.name.startswith(_THREAD) for thread in threading.enumerate())


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
        outputs: OutputCheck | None = None,
        returned: Callable[[ModelInstance], bool] = lambda _: False,
    ) -> None:
        """Builds the instance; `start` runs it.

        Args:
            name: The model's name.
            session: What it executes with, used by no other.
            batcher: Where its batches come from.
            clock: A monotonic clock in seconds.
            on_execution: Told of each batch; see `OnExecution`.
            index: Which of the model's instances it is.
            cores: Entered by each execution.
            budget: Where a batch may take the cores of all instances; None if it may not.
            outputs: Looks at each answer; None if nobody does.
            returned: Asked when an execution that was given up has come to its end: whether the instance goes on.
        """
        self._name = name
        self._session = session
        self._parts_session = session if isinstance(session, PartsSession) else None
        self._batcher = batcher
        self._clock = clock
        self._on_execution = on_execution
        self.index = index
        """Which of the model's instances it is."""
        self._cores = cores
        self._outputs = outputs
        self._returned = returned
        self._running: Running | None = None
        self._left = threading.Event()
        """The thread has ended, or was given up."""
        self._wide = WideExecutions(session, budget) if budget and isinstance(session, WideSession) else None
        self._thread = threading.Thread(target=self._run, name=f"{_THREAD}{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def resume(self) -> None:
        """For an instance that was given up, and goes on: `join` waits for it again."""
        self._left.clear()

    def join(self) -> None:
        """Waits until the thread has ended, or was given up; close the batcher first."""
        self._left.wait()

    @property
    def alive(self) -> bool:
        """False once the thread, which was started, is not there any more."""
        return self._thread.is_alive()

    def overdue(self, now_s: float, limit_s: float) -> bool:
        """Whether it has executed one batch for longer than that."""
        running = self._running
        return running is not None and now_s - running.began_s > limit_s

    def give_up(self, why: ServingError) -> bool:
        """Fails what is executed now and takes its cores back; the thread is on its own. False if it has just answered.

        Args:
            why: What the requests are told.
        """
        running = self._running
        if running is None or not running.give_up():
            return False
        running.began_s = math.inf
        self._left.set()
        self._fail(running.batch, why)
        return True

    def bury(self) -> None:
        """For an instance whose thread is gone: fails what it left behind."""
        running = self._running
        if running is not None and running.give_up():
            self._fail(running.batch, BackendFailure(f"model '{self._name}': the thread that computed has ended"))
        self._left.set()

    def _run(self) -> None:
        while True:
            try:
                if not self._run_once():
                    break
            except BaseException as error:  # noqa: BLE001 - a queue that nobody serves would be worse
                _log.critical("an instance of model '%s' failed; it goes on", self._name, exc_info=error)
                time.sleep(_PAUSE_S)  # what failed may do so again at once
        self._left.set()

    def _run_once(self) -> bool:
        """One batch; False at the end. Nothing of it is held while the instance waits for the next."""
        batch = self._batcher.take(self.index)
        if batch is None:
            return False
        with contextlib.ExitStack() as held:
            running = Running(batch, held)
            try:
                wide = self._wide is not None and self._wide.enter(batch, held)
                if not wide:
                    held.enter_context(self._cores)
                self._running = running
                self.execute(batch, wide=wide, running=running)
            except BaseException as error:
                if running.claim() or running.answered:
                    self._fail(batch, error)
                    raise
            finally:
                self._running = None
                if not running.answered:
                    running.wait_given_back()
        return running.answered or self._returned(self)

    def execute(self, batch: Batch, *, wide: bool = False, running: Running | None = None) -> None:
        """Runs one batch and resolves each of its futures, with its own rows or with the reason of the failure.

        Args:
            batch: What to run.
            wide: Whether to use more cores than one session has; they are the caller's.
            running: What the watchdog sees of it; None if nobody watches.
        """
        began_s = self._clock()
        if running is not None:
            running.began_s = began_s
        parts = [entry.inputs for entry in batch.entries]
        rows = [entry.waiting.rows for entry in batch.entries]
        try:
            answers, execution = self._compute(parts, rows, batch.reason, began_s, wide=wide)
        except BaseException as error:
            if running is None or running.claim():
                self._fail(batch, error)
            if isinstance(error, KeyboardInterrupt):
                raise
        else:
            if running is not None and not running.claim():
                return
            self._on_execution(execution)
            for entry, outputs in zip(batch.entries, answers, strict=True):
                timings = _timings(execution, entry.waiting.enqueued_s, began_s)
                entry.future.set_result(BatchAnswer(outputs, timings))

    def answer(self, inputs: Mapping[str, Array], loan: Loan) -> BatchAnswer:
        """Executes one request on the calling thread, which has borrowed the session. Nobody watches there.

        Raises:
            BackendFailure: The framework raised, or answered what does not fit.
        """
        began_s = self._clock()
        try:
            (outputs,), execution = self._compute((inputs,), (loan.rows,), loan.reason, began_s)
        except (ServingError, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._log_failure(loan.rows, error)
            raise self._failure(error) from error
        self._on_execution(execution)
        return BatchAnswer(outputs, _timings(execution, loan.since_s, began_s))

    def _compute(
        self,
        parts: Sequence[Mapping[str, Array]],
        rows: Sequence[int],
        reason: CloseReason,
        began_s: float,
        *,
        wide: bool = False,
    ) -> tuple[list[Mapping[str, Array]], Execution]:
        """The outputs of each request of a batch, and where the time went.

        Args:
            parts: The inputs of each request.
            rows: Of each request.
            reason: Why the batch was closed.
            began_s: When it began.
            wide: See `execute`.
        """
        together = sum(rows)
        infer, inputs = self._inference(parts, wide=wide)
        gathered_s = self._clock()
        outputs = infer(inputs)
        inferred_s = self._clock()
        if self._outputs is not None:
            self._outputs.check(outputs, together)
        answers = split(outputs, rows)
        split_s = self._clock()
        return answers, Execution(
            together,
            round((gathered_s - began_s) * 1e9),
            round((inferred_s - gathered_s) * 1e9),
            round((split_s - inferred_s) * 1e9),
            reason.value,
            self.index,
        )

    def _inference(
        self, parts: Sequence[Mapping[str, Array]], *, wide: bool
    ) -> tuple[Callable[[Any], Mapping[str, Array]], Any]:
        """What runs a batch, and with what: inputs are gathered here unless the session does that itself."""
        if wide and self._wide is not None:
            return self._wide.session.infer_wide, gather(parts)
        if self._parts_session is not None:
            return self._parts_session.infer_parts, [placed(part) for part in parts]
        return self._session.infer, gather(parts)

    def _fail(self, batch: Batch, error: BaseException) -> None:
        if not isinstance(error, ServingError):
            self._log_failure(batch.rows, error)
        for entry in batch.entries:
            if not entry.future.done():
                failure = self._failure(error)
                failure.__cause__ = error
                entry.future.set_exception(failure)

    def _log_failure(self, rows: int, error: BaseException) -> None:
        _log.error("model '%s' failed on a batch of %d rows", self._name, rows, exc_info=error)

    def _failure(self, error: BaseException) -> ServingError:
        """An exception of its own for a waiter: each will get a traceback of its own."""
        if isinstance(error, ServingError):
            return type(error)(*error.args)
        if isinstance(error, MemoryError):
            return OutOfMemory(f"model '{self._name}': memory ran out while it computed")
        return BackendFailure(f"model '{self._name}' failed while it computed; the server's log says why")


def _timings(execution: Execution, submitted_s: float, began_s: float) -> Timings:
    """Of one request of a batch."""
    return Timings(
        submitted_ns=round(submitted_s * 1e9),
        queue_ns=round((began_s - submitted_s) * 1e9),
        batch_ns=execution.input_ns,
        infer_ns=execution.infer_ns,
        split_ns=execution.output_ns,
        batch_size=execution.rows,
        close_reason=execution.close_reason,
        instance=execution.instance,
        batch_began_ns=round(began_s * 1e9),
    )
