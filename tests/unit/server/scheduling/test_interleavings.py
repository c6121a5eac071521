"""Whatever happens in which order: every request that was let in is answered exactly once, with its own rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pasarela_server.backends import BackendOptions, load_backend
from pasarela_server.backends.base import Session
from pasarela_server.errors import DeadlineExpired, QueueFull, ServerStopping, ServingError
from pasarela_server.scheduling.batch import Batch, BatchAnswer, Entry, shape_key
from pasarela_server.scheduling.batcher import DynamicBatcher
from pasarela_server.scheduling.instance import ModelInstance
from pasarela_server.scheduling.ordering import ReleaseInOrder
from pasarela_server.scheduling.policy import BatchingPolicy, Waiting
from pasarela_server.scheduling.queue import QueuePolicy
from pasarela_server.scheduling.scheduler import Scheduler
from pasarela_server.tensor import Array

MAX_ROWS = 4
POLICIES = st.builds(
    QueuePolicy,
    max_requests=st.integers(1, 8),
    timeout_s=st.sampled_from([1.0, 5.0, math.inf]),
    delay_on_timeout=st.booleans(),
)


class Network:
    """Answers each row with its number; fails when it is told to."""

    def __init__(self) -> None:
        self.fails = False

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if self.fails:
            raise ArithmeticError
        return {"y": inputs["x"][:, :1] * 2}


class Interleavings(RuleBasedStateMachine):
    """A batcher, its instances and its clients, one step of any of them at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.network = Network()
        self.accepted: list[tuple[int, int, Future[BatchAnswer]]] = []
        self.entries: list[Entry] = []
        self.told: list[int] = []
        self.executing: dict[int, Batch] = {}
        self.closed = False

    @initialize(
        levels=st.lists(POLICIES, min_size=1, max_size=3),
        delay_s=st.sampled_from([0.0, 2.0]),
        preferred=st.sampled_from([(), (2,)]),
        merge=st.booleans(),
        in_order=st.booleans(),
    )
    def begin(
        self, levels: list[QueuePolicy], delay_s: float, preferred: tuple[int, ...], merge: bool, in_order: bool
    ) -> None:
        policy = BatchingPolicy(max_rows=MAX_ROWS, merge=merge, preferred_rows=preferred, max_queue_delay_s=delay_s)
        self.batcher = DynamicBatcher("m", policy, lambda: self.now_s, levels, len(levels), instances=2)
        self.instance = ModelInstance("m", self.network, self.batcher, lambda: self.now_s)
        self.order = ReleaseInOrder() if in_order else None

    @rule(
        rows=st.integers(1, MAX_ROWS),
        width=st.integers(1, 3),
        priority=st.integers(0, 3),
        left_s=st.sampled_from([-1.0, 0.5, 3.0, math.inf]),
    )
    def arrive(self, rows: int, width: int, priority: int, left_s: float) -> None:
        number = len(self.entries)
        inputs = {"x": np.full((rows, width), float(number))}
        waiting = Waiting(rows, shape_key(inputs, batched=True), self.now_s, self.now_s + left_s)
        entry = Entry(inputs, waiting, priority)
        self.entries.append(entry)
        try:
            if self.order is None:
                self.batcher.submit(entry)
                answer = entry.future
            else:
                answer = self.order.submit(entry.future, lambda: self.batcher.submit(entry))
        except (QueueFull, DeadlineExpired, ServerStopping):
            return
        answer.add_done_callback(lambda done: None if done.cancelled() else self.told.append(number))
        self.accepted.append((number, rows, answer))

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def go_away(self, data: st.DataObject) -> None:
        _, _, answer = data.draw(st.sampled_from(self.accepted))
        answer.cancel()

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(instance=st.integers(0, 1))
    def take(self, instance: int) -> None:
        if instance in self.executing:
            return
        step = self.batcher.try_take(instance)
        if isinstance(step, Batch):
            self.executing[instance] = step
            assert step.rows <= MAX_ROWS
            assert len({entry.waiting.shape for entry in step.entries}) == 1
            assert all(entry.waiting.deadline_s > self.now_s for entry in step.entries), "work for nothing"

    @rule(instance=st.integers(0, 1), fails=st.booleans())
    def execute(self, instance: int, fails: bool) -> None:
        batch = self.executing.pop(instance, None)
        if batch is not None:
            self.network.fails = fails
            self.instance.execute(batch)

    @rule(drain=st.booleans())
    def close(self, drain: bool) -> None:
        self.batcher.close(drain=drain)
        self.closed = True

    @invariant()
    def nobody_is_told_twice(self) -> None:
        assert len(self.told) == len(set(self.told))
        assert self.order is None or self.told == sorted(self.told)

    def teardown(self) -> None:
        if not hasattr(self, "batcher"):
            return
        self.batcher.close(drain=True)
        for instance in (0, 1):
            self.execute(instance=instance, fails=False)
        while len(self.batcher):
            self.take(instance=0)
            self.execute(instance=0, fails=False)
        for number, rows, answer in self.accepted:
            assert answer.done(), "a waiter was forgotten"
            if not answer.cancelled() and answer.exception() is None:
                assert answer.result().outputs["y"].tolist() == [[2.0 * number]] * rows
            elif not answer.cancelled():
                assert isinstance(answer.exception(), ServingError)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def write_network(path: Path) -> None:
    """y = (x - mean of the row) * 3, for rows of any length."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "three"], ["y"]),
        ],
        "centre",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "length"])],
        [helper.make_tensor("three", TensorProto.FLOAT, [1], [3.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Session]]:
    """Three of a real network."""
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    write_network(path)
    backend = load_backend("onnxruntime", path, BackendOptions(instances=3, threads=1))
    yield [backend.session() for _ in range(3)]
    backend.close()


@settings(max_examples=25, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=24),
    max_rows=st.integers(4, 16),
    delay_s=st.sampled_from([0.0, 0.002]),
    seed=st.integers(0, 1000),
)
def test_a_real_network_answers_alike_whatever_the_batch(
    sessions: list[Session], requests: Sequence[tuple[int, int, int]], max_rows: int, delay_s: float, seed: int
) -> None:
    alone, *two = sessions
    policy = BatchingPolicy(max_rows=max_rows, max_queue_delay_s=delay_s)
    scheduler = Scheduler("m", two, policy, levels=[QueuePolicy()] * 2, default_level=2)
    dice = np.random.default_rng(seed)
    inputs = [{"x": dice.normal(size=(rows, length)).astype(np.float32)} for rows, length, _ in requests]
    answers = [
        scheduler.submit(one, rows, None, priority) for one, (rows, _, priority) in zip(inputs, requests, strict=True)
    ]
    scheduler.start()
    scheduler.stop()
    for one, answer in zip(inputs, answers, strict=True):
        # A vectorised sum may add in another order in a larger array.
        np.testing.assert_allclose(answer.result(0).outputs["y"], alone.infer(one)["y"], rtol=0, atol=1e-5)
    assert max(answer.result(0).timings.batch_size for answer in answers) <= max_rows
