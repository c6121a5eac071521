"""A server of so many instances that serve one request at a time, first come first served: an M/D/c or D/D/c queue."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from loadtest.plan.arrivals import arrivals
from loadtest.plan.steps import PlacedStep, Step
from loadtest.records import RequestRecord
from loadtest.scenario.loads import Arrivals
from loadtest.search.probe import Probe, measure_probe


@dataclass
class SimulatedServer:
    """Serves what is due; `instances` of them, each request in `service_s`."""

    instances: int = 2
    service_s: float = 0.04
    jitter: float = 0.0
    """The service time is longer by chance, up to this part of it."""
    stalls: float = 0.0
    """The part of the requests during which the machine is taken by others, for `stall_s`."""
    stall_s: float = 0.3
    queue: int | None = None
    """Requests that may wait; more are refused."""
    chance: Random = field(default_factory=lambda: Random(1))

    @property
    def capacity(self) -> float:
        """Requests per second."""
        return self.instances / (self.service_s * (1 + self.jitter / 2) + self.stalls * self.stall_s)

    def serve(self, dues_s: Iterable[float]) -> Iterator[RequestRecord]:
        """How each request fares, in order of their due times."""
        free = [0.0] * self.instances
        waiting: list[float] = []  # when those who were accepted begin
        for due_s in dues_s:
            while waiting and waiting[0] <= due_s:
                heapq.heappop(waiting)
            if self.queue is not None and free[0] > due_s and len(waiting) >= self.queue:
                yield RequestRecord(0, "detect", "m", "open", due_s, "refused", due_s, due_s, "UNAVAILABLE")
                continue
            begins_s = max(due_s, heapq.heappop(free))
            heapq.heappush(waiting, begins_s)
            stalled_s = self.stall_s if self.chance.random() < self.stalls else 0.0
            done_s = begins_s + self.service_s * (1 + self.jitter * self.chance.random()) + stalled_s
            heapq.heappush(free, done_s)
            yield RequestRecord(0, "detect", "m", "open", due_s, "done", due_s, done_s)

    def probe(self, rate: float, seconds: float, pattern: Arrivals, seed: int, limit_s: float = float("inf")) -> Probe:
        """One try at a rate, on a server that has nothing to do yet."""
        placed = PlacedStep(seed, Step("probe", seconds, rate, rate), 0.0)
        dues_s = (arrival.due_s for arrival in arrivals(placed, pattern, seed))
        return measure_probe(rate, self.serve(dues_s), limit_s)
