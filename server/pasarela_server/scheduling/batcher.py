"""The queue of one model: bounded at the door, emptied by the instances, abandoned work never executed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from pasarela_server.errors import QueueFull, ServerStopping
from pasarela_server.scheduling.batch import Batch, Entry
from pasarela_server.scheduling.policy import BatchingPolicy, CloseReason, Take, Wait, decide
from pasarela_server.scheduling.queue import Dropped, QueuePolicy, RequestQueue


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
    ) -> None:
        """Builds the batcher.

        Args:
            name: The model's name, for messages.
            policy: When a batch is closed.
            clock: A monotonic clock in seconds.
            levels: How requests wait, by priority level, the most urgent first.
            default_level: Of requests that name no level.
        """
        self._name = name
        self._policy = policy
        self._clock = clock
        self._queue = RequestQueue(name, levels, default_level)
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    def submit(self, entry: Entry) -> None:
        """Puts an entry at the end of the queue.

        Raises:
            QueueFull: As many entries of its priority wait as the policy allows.
            ServerStopping: The batcher was closed.
        """
        with self._changed:
            if self._closed:
                raise ServerStopping(f"model '{self._name}' is being unloaded and takes no new requests")
            dropped = [] if self._queue.room(entry.priority) else self._queue.sweep(self._clock())
            full = not self._queue.room(entry.priority)
            if not full:
                self._queue.append(entry)
                self._changed.notify()
        self._resolve_dropped(dropped)
        if full:
            raise QueueFull(
                f"the queue of model '{self._name}' holds {self._queue.limit(entry.priority)} requests, its limit; "
                "try again later"
            )

    def take(self) -> Batch | None:
        """Blocks until there is a batch for the calling instance; None when the batcher is closed and empty."""
        while True:
            with self._changed:
                dropped = self._queue.sweep(self._clock())
                batch, step = self._form()
                if batch is None and not dropped and isinstance(step, Wait):
                    if self._closed and not self._queue:
                        return None
                    self._changed.wait(step.seconds)
            self._resolve_dropped(dropped)
            if batch is not None:
                return batch

    def try_take(self) -> Batch | Wait:
        """One step of `take`, without blocking: the batch that is due now, or how long until one may be."""
        with self._changed:
            dropped = self._queue.sweep(self._clock())
            batch, step = self._form()
        self._resolve_dropped(dropped)
        return batch if batch is not None else step if isinstance(step, Wait) else Wait(0.0)

    def close(self, *, drain: bool) -> None:
        """Refuses new entries. What waits is still handed out if `drain`, and else fails with ServerStopping."""
        with self._changed:
            self._closed = True
            abandoned = [] if drain else self._queue.clear()
            self._changed.notify_all()
        for entry in abandoned:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(ServerStopping(f"model '{self._name}' was unloaded before it could answer"))

    def _form(self) -> tuple[Batch | None, Take | Wait]:
        now_s = self._clock()
        step = decide((entry.waiting for entry in self._queue), self._policy, now_s)
        if isinstance(step, Wait):
            if not (self._closed and self._queue):
                return None, self._until(step, now_s)
            step = Take(len(self._queue), CloseReason.DELAY)  # closing: nothing more will come to wait for
        claimed = tuple(entry for entry in self._queue.pop(step.count) if entry.future.set_running_or_notify_cancel())
        if self._queue:
            self._changed.notify()
        return (Batch(claimed, step.reason, now_s) if claimed else None), step

    def _until(self, step: Wait, now_s: float) -> Wait:
        """Wakes the instance also for an entry that will have waited too long before its batch is due."""
        timeout_s = self._queue.until_timeout_s(now_s)
        return step if step.seconds is None or step.seconds <= timeout_s else Wait(timeout_s)

    def _resolve_dropped(self, dropped: list[Dropped]) -> None:
        for one in dropped:
            if one.entry.future.set_running_or_notify_cancel():
                one.entry.future.set_exception(one.reason)
