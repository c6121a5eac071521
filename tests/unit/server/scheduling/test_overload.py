"""What a model's clients get when there are more of them than it can serve: a simulation, with no clock but its own."""

import math
import random
from dataclasses import dataclass

import pytest

from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.queue import QueuePolicy
from tests.unit.server.scheduling.simulated import Arrival, Outcome, Simulation


@dataclass(frozen=True)
class Model:
    instances: int
    max_rows: int
    spread: float
    """Standard deviation of an execution's time, as a share of it."""

    def seconds(self, rows: int) -> float:
        """A full batch takes 30 ms, one row of several 60 % of that."""
        return 0.03 if self.max_rows == 1 else 0.03 * (0.6 + 0.4 * rows / self.max_rows)

    @property
    def capacity(self) -> float:
        """Rows per second with full batches."""
        return self.instances * self.max_rows / self.seconds(self.max_rows)

    def simulate(self, arrivals: list[Arrival], seed: int, levels: int = 1) -> list[Outcome]:
        dice = random.Random(seed)
        return Simulation(
            BatchingPolicy(max_rows=self.max_rows),
            self.instances,
            lambda rows: max(0.5 * self.seconds(rows), dice.gauss(1, self.spread) * self.seconds(rows)),
            [QueuePolicy(max_requests=100_000)] * levels,
        ).run(arrivals)


def arrivals(model: Model, load: float, count: int, patience: float, seed: int, shapes: int = 1) -> list[Arrival]:
    """At random times, for a load in shares of the capacity; deadlines so many full executions later."""
    dice, now_s, made = random.Random(seed), 0.0, []
    for _ in range(count):
        now_s += dice.expovariate(load * model.capacity)
        deadline_s = now_s + patience * model.seconds(model.max_rows)
        made.append(Arrival(now_s, deadline_s, shape=str(dice.randrange(shapes))))
    return made


CPU, STEADY_CPU = Model(2, 1, 0.15), Model(2, 1, 0.0)
GPU, WILD_GPU = Model(1, 8, 0.15), Model(1, 8, 0.3)

OVERLOADS = [
    ("one row at a time", CPU, 2.0, 5.0, 1),
    ("as regular as can be: each is admitted just so", STEADY_CPU, 2.0, 5.0, 1),
    ("ten times what it can do", CPU, 10.0, 5.0, 1),
    ("little patience", CPU, 2.0, 2.5, 1),
    ("batches: a newcomer's batch grows after it was admitted", GPU, 2.0, 5.0, 1),
    ("batches whose times spread widely", WILD_GPU, 2.0, 5.0, 1),
    ("four shapes: batches of one do not carry the others", GPU, 2.0, 5.0, 4),
]


@pytest.mark.parametrize(
    ("model", "load", "patience", "shapes"), [row[1:] for row in OVERLOADS], ids=[row[0] for row in OVERLOADS]
)
def test_overload_costs_those_who_are_answered_nothing(model: Model, load: float, patience: float, shapes: int) -> None:
    asked = arrivals(model, load, 4000, patience, seed=1, shapes=shapes)
    outcomes = model.simulate(asked, seed=2)
    answered = [outcome for outcome in outcomes if math.isfinite(outcome.answered_s)]
    refused = [outcome for outcome in outcomes if math.isfinite(outcome.refused_s)]
    assert len(answered) + len(refused) == len(outcomes), "everybody is told"
    goodput = sum(outcome.in_time for outcome in answered) / asked[-1].at_s
    assert goodput >= 0.9 * model.capacity
    # Only in the beginning, when nothing is known yet, somebody is let in who has to be refused later.
    waited = sum(outcome.refused_s - outcome.arrival.at_s > 0.0 for outcome in refused)
    assert waited <= 0.05 * len(refused)


@pytest.mark.parametrize("model", [CPU, GPU])
def test_below_the_capacity_hardly_anybody_is_refused(model: Model) -> None:
    outcomes = model.simulate(arrivals(model, 0.8, 4000, 10.0, seed=3), seed=4)
    assert sum(outcome.in_time for outcome in outcomes) >= 0.995 * len(outcomes)


def test_a_load_that_fits_waits_little_when_it_comes_evenly() -> None:
    every_s = 1 / (0.8 * CPU.capacity)
    outcomes = CPU.simulate([Arrival(number * every_s) for number in range(4000)], seed=5)
    latencies = sorted(outcome.latency_s for outcome in outcomes)
    assert latencies[int(0.99 * len(latencies))] <= 2 * latencies[len(latencies) // 2]


def test_work_begins_while_an_instance_is_free() -> None:
    asked = arrivals(CPU, 0.9, 2000, math.inf, seed=6)
    simulation = Simulation(BatchingPolicy(), 2, lambda rows: 0.03)
    outcomes = simulation.run(asked)
    free_s = [0.0, 0.0]
    for outcome in outcomes:
        begins_s = max(outcome.arrival.at_s, min(free_s))
        free_s[free_s.index(min(free_s))] = begins_s + 0.03
        assert outcome.answered_s == pytest.approx(begins_s + 0.03), "first come, first served, and no idle instance"


def test_no_shape_starves() -> None:
    """One request of a rare shape among many of a frequent one: it goes when it is the oldest."""
    simulation = Simulation(BatchingPolicy(max_rows=4), 1, lambda rows: 0.01 * rows, [QueuePolicy(max_requests=10_000)])
    asked = [Arrival(0.001 * number, shape="frequent") for number in range(2000)]
    asked.insert(100, Arrival(0.1, shape="rare"))
    outcomes = simulation.run(asked)
    rare = next(outcome for outcome in outcomes if outcome.arrival.shape == "rare")
    earlier = [outcome for outcome in outcomes if outcome.arrival.at_s < 0.1]
    assert rare.answered_s <= max(outcome.answered_s for outcome in earlier) + 0.04


def test_shapes_that_take_turns_still_fill_batches() -> None:
    simulation = Simulation(BatchingPolicy(max_rows=8), 1, lambda rows: 0.01, [QueuePolicy(max_requests=10_000)])
    simulation.run([Arrival(0.0, shape="wide" if number % 2 else "tall") for number in range(64)])
    assert [batch.rows for batch in simulation.batches] == [1, 8, 8, 8, 8, 8, 8, 8, 7]
    assert all(len({entry.waiting.shape for entry in batch.entries}) == 1 for batch in simulation.batches)
