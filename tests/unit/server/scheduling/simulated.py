"""A model's instances, simulated: what arrives when, what an execution takes, and no thread or clock of the machine."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from pasarela_server.errors import DeadlineExpired, QueueFull
from pasarela_server.request import Timings
from pasarela_server.scheduling.batch import Batch, BatchAnswer, Entry
from pasarela_server.scheduling.batcher import DynamicBatcher
from pasarela_server.scheduling.policy import BatchingPolicy, Waiting
from pasarela_server.scheduling.queue import QueuePolicy


@dataclass(frozen=True)
class Arrival:
    at_s: float
    deadline_s: float = math.inf
    rows: int = 1
    shape: str = "same"
    priority: int = 0


@dataclass
class Outcome:
    arrival: Arrival
    answered_s: float = math.inf
    refused_s: float = math.inf

    @property
    def in_time(self) -> bool:
        return self.answered_s <= self.arrival.deadline_s

    @property
    def latency_s(self) -> float:
        return self.answered_s - self.arrival.at_s


class Simulation:
    """Events in the order of their time, around a real batcher."""

    def __init__(
        self,
        policy: BatchingPolicy,
        instances: int,
        service_s: Callable[[int], float],
        levels: Sequence[QueuePolicy] = (QueuePolicy(),),
    ) -> None:
        self.batches: list[Batch] = []
        self._now_s = 0.0
        self._service_s = service_s
        self._idle = set(range(instances))
        self._batcher = DynamicBatcher("m", policy, lambda: self._now_s, levels, len(levels), instances)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def run(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        outcomes = [Outcome(arrival) for arrival in arrivals]
        for outcome in outcomes:
            self._at(outcome.arrival.at_s, partial(self._arrive, outcome))
        while self._events:
            self._now_s, _, happen = heapq.heappop(self._events)
            happen()
        return outcomes

    def _at(self, when_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._numbers), happen))

    def _arrive(self, outcome: Outcome) -> None:
        arrival = outcome.arrival
        waiting = Waiting(arrival.rows, arrival.shape, self._now_s, arrival.deadline_s)
        entry = Entry({}, waiting, arrival.priority)
        entry.future.add_done_callback(partial(self._tell, outcome))
        try:
            self._batcher.submit(entry)
        except (DeadlineExpired, QueueFull):
            outcome.refused_s = self._now_s
        self._serve()

    def _tell(self, outcome: Outcome, done: Future[BatchAnswer]) -> None:
        if done.exception() is None:
            outcome.answered_s = self._now_s
        else:
            outcome.refused_s = self._now_s

    def _serve(self) -> None:
        for instance in sorted(self._idle):
            step = self._batcher.try_take(instance)
            if isinstance(step, Batch):
                self._idle.discard(instance)
                self.batches.append(step)
                self._at(self._now_s + self._service_s(step.rows), partial(self._finish, instance, step))
            elif step.seconds is not None:
                self._at(self._now_s + step.seconds, self._serve)

    def _finish(self, instance: int, batch: Batch) -> None:
        for entry in batch.entries:
            entry.future.set_result(BatchAnswer({}, Timings(batch_size=batch.rows)))
        self._idle.add(instance)
        self._serve()
