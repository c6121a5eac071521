"""The queue of one model: bounded at the door, emptied by the instances, work that is of no use never executed."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import NamedTuple

from pasarela_server.errors import DeadlineExpired, QueueFull, ServerStopping
from pasarela_server.scheduling.batch import Batch, BatchAnswer, Entry
from pasarela_server.scheduling.estimate import DurationEstimate
from pasarela_server.scheduling.occupancy import Occupancy, Outlook
from pasarela_server.scheduling.policy import BatchingPolicy, CloseReason, Take, Wait, decide, decide_lone
from pasarela_server.scheduling.queue import Dropped, QueuePolicy, RequestQueue

_LOOKED_AT_EVERY_S = 0.02


class Loan(NamedTuple):
    """A session that is used by another thread than its instance's, for one request."""

    instance: int
    rows: int
    """Of the request."""
    reason: CloseReason
    """Why it need not wait for others."""
    since_s: float


class DynamicBatcher:
    """Holds waiting entries and hands them out in batches.

    Thread-safe: any thread may submit, each instance's thread takes. No future is resolved while the lock is held, so
    callbacks of a future may call back into the batcher.
    """

    def __init__(
        self,
        name: str,
        policy: BatchingPolicy,
        clock: Callable[[], float] = time.monotonic,
        levels: Sequence[QueuePolicy] = (QueuePolicy(),),
        default_level: int = 1,
        instances: int = 1,
    ) -> None:
        """Builds the batcher.

        Args:
            name: The model's name, for messages.
            policy: When a batch is closed.
            clock: A monotonic clock in seconds.
            levels: How requests wait, by priority level, the most urgent first.
            default_level: Of requests that name no level.
            instances: How many take batches.
        """
        self._name = name
        self._policy = policy
        self._clock = clock
        self._queue = RequestQueue(name, levels, default_level, policy.max_rows, policy.ripe_rows)
        self._occupancy = Occupancy(policy, instances)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        """Told when the queue, or what an instance waits for, has changed. Its lock is `_lock`, cheaper to take."""
        self._closed = False
        self._idle: set[int] = set()
        """Instances whose threads wait, because nothing else does."""
        self._lent: set[int] = set()
        """Instances whose sessions other threads use, by `borrow`."""
        self._borrowed = DurationEstimate()
        self._looked_s = -math.inf
        """When it was last asked whether loans pay: the answer holds for a while, since asking costs a tenth of one."""
        self._expected_s = 0.0
        self._lends = False
        self._lonely = 0

    def __len__(self) -> int:
        return len(self._queue)

    def submit(self, entry: Entry) -> None:
        """Puts an entry at the end of the queue.

        Raises:
            QueueFull: As many entries of its priority wait as the policy allows.
            DeadlineExpired: Its deadline has passed, or is too near for what waits before it.
            ServerStopping: The batcher was closed.
        """
        now_s = self._clock()
        late: Outlook | None = None
        ticket: int | None = None
        with self._lock:
            if self._closed:
                raise ServerStopping(f"model '{self._name}' is being unloaded and takes no new requests")
            dropped = self._sweep(now_s)
            if self._queue.room(entry.priority):
                late = self._too_late(entry, now_s)
                if late is None:
                    ticket = self._queue.append(entry)
                    self._changed.notify()
        self._resolve_dropped(dropped)
        if late is not None:
            raise DeadlineExpired(f"model '{self._name}': {late.explain(entry.waiting.deadline_s - now_s)}")
        if ticket is None:
            raise QueueFull(
                f"the queue of model '{self._name}' holds {self._queue.limit(entry.priority)} requests, its limit; "
                "try again later"
            )
        entry.future.add_done_callback(functools.partial(self._given_up, ticket))

    def outlook(self, shape: Hashable, priority: int = 0, ahead: int = 0) -> Outlook:
        """What a request of one row can expect that comes now.

        Args:
            shape: Its shape.
            priority: Its level.
            ahead: Requests like it that come before it, and have not been submitted yet.
        """
        with self._lock:
            return self._occupancy.outlook(1, self._queue.before(priority, shape), ahead, self._clock())

    def take(self, instance: int = 0) -> Batch | None:
        """Blocks until there is a batch for an instance; None when the batcher is closed and empty.

        Calling it says that the instance has done with the batch that it took before.
        """
        with self._lock:
            self._occupancy.ended(instance, self._clock())
        while True:
            with self._lock:
                while instance in self._lent:
                    self._changed.wait()
                self._idle.discard(instance)
                dropped = self._sweep(self._clock())
                batch, step = self._form(instance)
                if batch is None and not dropped and isinstance(step, Wait):
                    if self._closed and not self._queue:
                        return None
                    if step.seconds is None:
                        self._idle.add(instance)
                    self._changed.wait(step.seconds)
            self._resolve_dropped(dropped)
            if batch is not None:
                return batch

    def try_take(self, instance: int = 0) -> Batch | Wait:
        """One step of `take`, without blocking: the batch that is due now, or how long until one may be."""
        with self._lock:
            now_s = self._clock()
            self._occupancy.ended(instance, now_s)
            dropped = self._sweep(now_s)
            batch, step = self._form(instance)
        self._resolve_dropped(dropped)
        return batch if batch is not None else step if isinstance(step, Wait) else Wait(0.0)

    def borrow(self, rows: int, deadline_s: float, least_s: float, likely_s: float) -> Loan | None:
        """Lets the calling thread execute a request itself, on the session of an instance that has nothing to do.

        What it takes on an instance's thread includes waits for the interpreter, so the shortest executions there say
        whether it is worth a try, and those of other loans whether it is again.

        Args:
            rows: The request's; no more than fit into a batch.
            deadline_s: When its answer is of no use any more; infinite if it always is.
            least_s: What the shortest execution may have taken on an instance's thread, for a first try.
            likely_s: What most loans may have taken, for another.

        Returns:
            What `give_back` must be told afterwards. None if the request is to be submitted: no instance is idle,
            others wait, it would take too long or nothing is known of that, or it may be too late.
        """
        now_s = self._clock()
        with self._lock:
            if self._closed or self._queue or not self._idle:
                return None
            if now_s > self._looked_s + _LOOKED_AT_EVERY_S:
                self._looked_s = now_s
                tried_s = self._borrowed.span(now_s).likely_s
                self._expected_s = tried_s or self._occupancy.batch(1, now_s).least_s
                self._lends = 0 < self._expected_s <= (likely_s if tried_s else least_s)
            if not self._lends or deadline_s - now_s < self._expected_s:
                return None
            reason = decide_lone(rows, self._policy)
            if reason is None:
                return None
            instance = self._idle.pop()
            self._lent.add(instance)
            self._occupancy.began(instance, rows, now_s)
        return Loan(instance, rows, reason, now_s)

    def give_back(self, loan: Loan) -> None:
        """Ends what `borrow` began."""
        now_s = self._clock()
        instance = loan.instance
        with self._lock:
            self._occupancy.ended(instance, now_s)
            self._borrowed.add(now_s - loan.since_s, now_s)
            self._lent.discard(instance)
            self._idle.add(instance)
            if self._queue or self._closed:
                self._changed.notify_all()  # the instance's own thread may have been woken, and gone back to sleep

    def close(self, *, drain: bool) -> None:
        """Refuses new entries. What waits is still handed out if `drain`, and else fails with ServerStopping."""
        with self._lock:
            self._closed = True
            self._policy = replace(self._policy, max_queue_delay_s=0.0)  # nothing more will come to wait for
            abandoned = [] if drain else self._queue.clear()
            self._changed.notify_all()
        for entry in abandoned:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(ServerStopping(f"model '{self._name}' was unloaded before it could answer"))

    @property
    def closed(self) -> bool:
        """Whether it takes no more entries."""
        return self._closed

    def fail_waiting(self, error: Callable[[], Exception]) -> None:
        """Fails everything that waits: nobody will take it.

        Args:
            error: Makes the reason, one for each entry.
        """
        with self._lock:
            waiting = self._queue.clear()
        for entry in waiting:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(error())

    def _form(self, instance: int) -> tuple[Batch | None, Take | Wait]:
        now_s = self._clock()
        service_s = self._occupancy.batch(1, now_s).least_s if self._policy.max_queue_delay_s else 0.0
        step = decide(self._queue.lines(), self._policy, now_s, service_s)
        if isinstance(step, Wait):
            return None, self._until(step, now_s)
        popped = self._queue.pop(step.count, step.shape)
        claimed = tuple(entry for entry in popped if entry.future.set_running_or_notify_cancel())
        if self._queue:
            self._changed.notify()
        if not claimed:
            return None, step
        self._lonely = 0 if self._queue or self._occupancy.busy else self._lonely + 1
        batch = Batch(claimed, step.reason, now_s, self._lonely)
        self._occupancy.began(instance, batch.rows, now_s)
        return batch, step

    def _until(self, step: Wait, now_s: float) -> Wait:
        """Wakes the instance also for an entry that will have waited too long before its batch is due."""
        timeout_s = self._queue.until_timeout_s(now_s)
        return step if step.seconds is None or step.seconds <= timeout_s else Wait(timeout_s)

    def _too_late(self, entry: Entry, now_s: float) -> Outlook | None:
        """What an entry can expect that cannot be answered before its deadline; None if it can be."""
        left_s = entry.waiting.deadline_s - now_s
        if math.isinf(left_s):
            return None
        # Most requests have much more time than they need: even if each that waits made a batch of its own.
        most_s = (len(self._queue) + 2) * self._occupancy.batch(self._policy.max_rows, now_s).likely_s
        if left_s > max(0.0, most_s):
            return None
        before = self._queue.before(entry.priority, entry.waiting.shape)
        outlook = self._occupancy.outlook(entry.waiting.rows, before, 0, now_s)
        return None if outlook.fits(left_s) else outlook

    def _sweep(self, now_s: float) -> list[Dropped]:
        if not self._queue.timed:
            return []
        return self._queue.sweep(now_s, self._occupancy.batch(1, now_s).least_s)

    def _given_up(self, ticket: int, future: Future[BatchAnswer]) -> None:
        """A client that goes makes room at once."""
        if not future.cancelled():
            return
        with self._lock:
            entry = self._queue.discard(ticket)
            self._changed.notify()
        if entry is not None:
            future.set_running_or_notify_cancel()

    def _resolve_dropped(self, dropped: list[Dropped]) -> None:
        for one in dropped:
            if one.entry.future.set_running_or_notify_cancel():
                one.entry.future.set_exception(one.reason)
