"""A loaded model's scheduler: one queue, as many instances as there are sessions.

An instance whose inference takes too long is given up: its requests fail, and another takes its place.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pasarela_server.backends.base import Session
from pasarela_server.backends.outputs import OutputCheck
from pasarela_server.errors import BackendFailure, InvalidRequest, ModelSuspended
from pasarela_server.scheduling.batch import BatchAnswer, Entry, shape_key
from pasarela_server.scheduling.batcher import DynamicBatcher
from pasarela_server.scheduling.cores import UNBOUNDED, CoreBudget
from pasarela_server.scheduling.execution import OnExecution, nobody_listens
from pasarela_server.scheduling.instance import ModelInstance
from pasarela_server.scheduling.occupancy import Outlook
from pasarela_server.scheduling.ordering import ReleaseInOrder
from pasarela_server.scheduling.policy import BatchingPolicy, Waiting
from pasarela_server.scheduling.queue import QueuePolicy
from pasarela_server.scheduling.watchdog import Watchdog
from pasarela_server.tensor import Array

_log = logging.getLogger("pasarela_server.scheduling")

_MOST_STUCK = 4
"""Of each instance, how many predecessors may hang before it is not replaced any more: each keeps a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """What is computed sooner than handed to another thread and back, which costs some hundred microseconds."""

    most_bytes: int = 16 * 1024
    """Of all inputs together: larger ones may take longer than what was measured."""
    least_s: float = 300e-6
    """What the shortest of the last executions took on an instance's thread, before any is tried here."""
    likely_s: float = 1e-3
    """What four of five of the last ones took here, on cores that others use, too."""

    def fits(self, inputs: Mapping[str, Array]) -> bool:
        """Whether a request's inputs are small."""
        return sum([array.nbytes for array in inputs.values()]) <= self.most_bytes


@dataclass(frozen=True, slots=True)
class Rescue:
    """What to do about instances that hang."""

    limit_s: float
    """How long an inference may take."""
    session: Callable[[], Session]
    """Gives another session; called on the watchdog's thread."""
    changed: Callable[[], None] = lambda: None
    """Told, on any thread, when `Scheduler.impediment` has changed."""


class Scheduler:
    """Takes requests from any thread and answers them through futures.

    Cancelling a future that still waits drops its entry; one that is being executed runs to its end and its answer is
    thrown away, so its batch-mates never notice.
    """

    def __init__(
        self,
        name: str,
        sessions: Sequence[Session],
        policy: BatchingPolicy,
        *,
        batched: bool = True,
        clock: Callable[[], float] = time.monotonic,
        on_execution: OnExecution = nobody_listens,
        levels: Sequence[QueuePolicy] = (QueuePolicy(),),
        default_level: int = 1,
        in_order: bool = False,
        cores: AbstractContextManager[object] = UNBOUNDED,
        small: Small | None = None,
        budget: CoreBudget | None = None,
        outputs: OutputCheck | None = None,
        rescue: Rescue | None = None,
    ) -> None:
        """Builds the scheduler; `start` runs it.

        Args:
            name: The model's name, for messages.
            sessions: One for each instance. The scheduler uses them, their backend's owner closes it afterwards.
            policy: How to batch.
            batched: False if the model's tensors have no batch dimension: then nothing is gathered or split.
            clock: A monotonic clock in seconds.
            on_execution: Told of each batch that was executed, on the instance's thread: must neither block nor raise.
            levels: How requests wait, by priority level, the most urgent first.
            default_level: Of requests that name no level.
            in_order: Whether answers leave in the order in which the requests came, whichever was ready first.
            cores: Entered by each execution: where it waits for the cores that all models share.
            budget: Where a single request may take the cores of all instances; None if it may not.
            small: What `answer_here` executes on the calling thread; None for nothing. There nobody watches.
            outputs: Looks at each answer; None if nobody does.
            rescue: What to do about instances that hang; None to wait for them for ever.
        """
        if not batched and policy.max_rows != 1:
            raise ValueError(f"model '{name}' has no batch dimension, yet its policy batches {policy.max_rows} rows")
        self.levels = tuple(levels)
        """How requests wait, by priority level."""
        self.default_level = default_level
        """Of requests that name no level."""
        self._name = name
        self._policy = policy
        self._batched = batched
        self._clock = clock
        self._batcher = DynamicBatcher(name, policy, clock, levels, default_level, max(1, len(sessions)))
        self._small = None if in_order else small
        self._shape: Hashable = None
        self._order = ReleaseInOrder() if in_order else None
        self._impediment = ""

        def instance(session: Session, index: int) -> ModelInstance:
            return ModelInstance(
                name, session, self._batcher, clock, on_execution, index, cores, budget, outputs, self._returned
            )

        self._build = instance
        self._rescue = rescue
        self._changing = threading.Lock()
        """Held while instances take each other's place."""
        self._instances = [instance(session, index) for index, session in enumerate(sessions)]
        """By place, those that serve; those that hang and could not be replaced."""
        self._lost: set[int] = set()
        """Places whose instance hangs."""
        self._stuck: set[ModelInstance] = set()
        """Instances that hang, or did when they were last seen."""
        self._watchdog = None if rescue is None else Watchdog(name, rescue.limit_s, self.look)

    @property
    def slots(self) -> int:
        """Rows that all instances together can execute at once; requests, if they are not merged."""
        return max(1, len(self._instances)) * (self._policy.max_rows if self._policy.merge else 1)

    def outlook(self, priority: int = 0, ahead: int = 0) -> Outlook:
        """What a request of one row can expect that comes now, if it is like the last one that was submitted.

        Args:
            priority: Its level.
            ahead: Requests like it that come before it, and have not been submitted yet.
        """
        return self._batcher.outlook(self._shape, priority, ahead)

    @property
    def impediment(self) -> str:
        """Why no instance can execute anything, for people; empty if one can."""
        return self._impediment

    @property
    def waiting(self) -> int:
        """Requests in the queue now."""
        return len(self._batcher)

    def start(self) -> None:
        """Starts the instances' threads."""
        for instance in self._instances:
            instance.start()
        if self._watchdog is not None:
            self._watchdog.start()

    def look(self) -> None:
        """One look of the watchdog: gives up what hangs, and replaces it and what is gone."""
        rescue = self._rescue
        if rescue is None:
            return
        now_s = self._clock()
        for index, instance in enumerate(list(self._instances)):
            if instance.overdue(now_s, rescue.limit_s):
                why = BackendFailure(
                    f"model '{self._name}': an inference took longer than {rescue.limit_s:g} s, its limit, and was "
                    "given up"
                )
                if instance.give_up(why):
                    self._replace(index, instance, rescue)
            elif not instance.alive and not self._batcher.closed:
                instance.bury()
                self._replace(index, instance, rescue)

    def submit(
        self, inputs: Mapping[str, Array], rows: int, deadline_monotonic_s: float | None = None, priority: int = 0
    ) -> Future[BatchAnswer]:
        """Queues one request.

        Args:
            inputs: An array for each of the model's inputs. They are read until the future is resolved.
            rows: The size of the first dimension of each input; 1 for a model without batch dimension.
            deadline_monotonic_s: When the answer is of no use any more, on the scheduler's clock.
            priority: A level; 1 is the most urgent, 0 or one that does not exist stands for the default.

        Returns:
            The answer to come. It may fail with DeadlineExpired, QueueTimeout, BackendFailure or ServerStopping.

        Raises:
            InvalidRequest: More rows than fit into a batch.
            QueueFull: Too many requests wait.
            DeadlineExpired: The deadline has passed, or is too near for what waits and what an execution takes.
            ServerStopping: The scheduler was stopped.
            ModelSuspended: Every instance hangs.
        """
        if self._impediment:
            raise self._unavailable()
        entry = self._entry(inputs, rows, deadline_monotonic_s, priority)
        if self._order is None:
            self._wait_in_line(entry)
            return entry.future
        return self._order.submit(entry.future, lambda: self._wait_in_line(entry))

    def answer_here(
        self, inputs: Mapping[str, Array], rows: int, deadline_monotonic_s: float | None = None
    ) -> BatchAnswer | None:
        """Executes one request at once, if that takes less time than two changes of threads and an instance is idle.

        For a thread that must not be kept for long, and would rather compute than wait for another.

        Returns:
            The answer. None if the request is to be submitted, and nothing has come of it.

        Raises:
            BackendFailure: The framework raised.
        """
        small = self._small
        if small is None or rows > self._policy.max_rows or not small.fits(inputs):
            return None
        deadline_s = math.inf if deadline_monotonic_s is None else deadline_monotonic_s
        loan = self._batcher.borrow(rows, deadline_s, small.least_s, small.likely_s)
        if loan is None:
            return None
        try:
            return self._instances[loan.instance].answer(inputs, loan)
        finally:
            self._batcher.give_back(loan)

    def _wait_in_line(self, entry: Entry) -> None:
        self._batcher.submit(entry)
        if self._impediment:  # the last instance was given up meanwhile, and what waited then has been failed already
            self._batcher.fail_waiting(self._unavailable)

    def _entry(
        self, inputs: Mapping[str, Array], rows: int, deadline_monotonic_s: float | None, priority: int
    ) -> Entry:
        if rows > self._policy.max_rows:
            raise InvalidRequest(
                f"model '{self._name}' takes at most {self._policy.max_rows} rows in a request; this one has {rows}"
            )
        deadline_s = math.inf if deadline_monotonic_s is None else deadline_monotonic_s
        waiting = Waiting(rows, shape_key(inputs, batched=self._batched), self._clock(), deadline_s)
        self._shape = waiting.shape
        return Entry(inputs, waiting, priority)

    def stop(self, *, drain: bool = True) -> None:
        """Refuses new requests, answers those that wait (without `drain`: fails them), ends the instances. Blocks."""
        self._batcher.close(drain=drain)
        self._join()
        if self._watchdog is not None:
            self._watchdog.stop()
            self._join()  # it may just have put another in the place of one that hangs

    def _join(self) -> None:
        for index in range(len(self._instances)):
            instance: ModelInstance | None = None
            while instance is not self._instances[index]:  # another may have taken its place meanwhile
                instance = self._instances[index]
                instance.join()

    def _unavailable(self) -> ModelSuspended:
        return ModelSuspended(f"model '{self._name}' is not ready: {self._impediment}")

    def _replace(self, index: int, instance: ModelInstance, rescue: Rescue) -> None:
        """On the watchdog's thread: another instance takes the place of one that hangs or is gone."""
        fresh: ModelInstance | None = None
        reason = "as many as may hang do so already"
        if len(self._stuck) < _MOST_STUCK * len(self._instances):
            try:
                fresh = self._build(rescue.session(), index)
            except Exception as error:  # noqa: BLE001 - whatever it is, there is no replacement
                reason = f"its backend gives no other session ({type(error).__name__})"
        with self._changing:
            if instance.alive:
                self._stuck.add(instance)
            if fresh is not None:
                self._instances[index] = fresh
                fresh.start()
                _log.error("instance %d of model '%s' hangs or is gone: another takes its place", index, self._name)
                return
            self._lost.add(index)
            _log.error("instance %d of model '%s' hangs and is not replaced: %s", index, self._name, reason)
            if len(self._lost) < len(self._instances):
                return
            self._impediment = "all of its instances hang; it has to be loaded again"
        self._batcher.fail_waiting(self._unavailable)
        rescue.changed()

    def _returned(self, instance: ModelInstance) -> bool:
        """On the thread of an instance that was given up and has come back: whether it goes on."""
        with self._changing:
            self._stuck.discard(instance)
            goes_on = self._instances[instance.index] is instance
            if goes_on:
                instance.resume()
                self._lost.discard(instance.index)
            recovered, self._impediment = bool(self._impediment) and goes_on, "" if goes_on else self._impediment
        if recovered and self._rescue is not None:
            self._rescue.changed()
        return goes_on
