"""What each version has done, by requests and by executions."""

import threading
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.errors import QueueFull
from pasarela_server.observability.exposition import Exposition
from pasarela_server.observability.metrics import Metrics
from pasarela_server.observability.record import RequestRecord
from pasarela_server.observability.statistics import BatchStatistics, Duration, Statistics, VersionStatistics
from pasarela_server.request import Timings
from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.scheduler import Scheduler

TIMINGS = Timings(decode_queue_ns=1, decode_ns=1, queue_ns=1, infer_ns=30, split_ns=1, nms_ns=3, batch_size=4)


@dataclass(frozen=True)
class Execution:
    rows: int
    input_ns: int = 10
    infer_ns: int = 100
    output_ns: int = 1
    close_reason: str = "full"
    instance: int = 0


class Clock:
    now_ms = 1000

    def __call__(self):
        return self.now_ms


def ended(rows=1, *, failed=False, timings=TIMINGS, model="m", version=1):
    return RequestRecord(model, version, "r", 100, 150, rows, timings, QueueFull if failed else None)


def test_nothing_is_known_of_a_version_that_was_not_used():
    assert Statistics().of("m", 1) == VersionStatistics()


def test_requests_and_executions_add_up_apart():
    clock = Clock()
    statistics = Statistics(clock)
    statistics.executed("m", 1, Execution(4))
    statistics.executed("m", 1, Execution(4, instance=1))
    statistics.executed("m", 1, Execution(1, close_reason="idle"))
    for rows in (4, 3, 1, 1):
        clock.now_ms += 1
        statistics.request(ended(rows))

    assert statistics.of("m", 1) == VersionStatistics(
        last_inference_ms=1004,
        inference_count=9,
        execution_count=3,
        success=Duration(4, 200),
        queue=Duration(4, 8),
        compute_input=Duration(4, 4),
        compute_infer=Duration(4, 120),
        compute_output=Duration(4, 16),
        batches={
            1: BatchStatistics(Duration(1, 10), Duration(1, 100), Duration(1, 1)),
            4: BatchStatistics(Duration(2, 20), Duration(2, 200), Duration(2, 2)),
        },
        closed={"full": 2, "idle": 1},
        by_instance={0: 2, 1: 1},
    )
    assert list(statistics.of("m", 1).batches) == [1, 4]


def test_what_is_executed_for_a_detection_model_counts_as_inference():
    statistics = Statistics(Clock())
    statistics.executed("m", 1, Execution(3))
    found = statistics.of("m", 1)
    assert (found.inference_count, found.execution_count, found.last_inference_ms) == (3, 1, 1000)
    assert found.success.count == 0, "nobody asked for it by name"


def test_failures_count_apart_and_are_no_inference():
    statistics = Statistics(Clock())
    statistics.request(ended(failed=True, timings=Timings()))
    assert statistics.of("m", 1) == VersionStatistics(fail=Duration(1, 50))


def test_a_version_that_others_execute_for_counts_shares_of_their_batches():
    statistics = Statistics(Clock())
    for _ in range(4):
        statistics.request(ended(1))
    found = statistics.of("m", 1)
    assert found.execution_count == 1
    assert found.batches == {4: BatchStatistics(Duration(1, 1), Duration(1, 30), Duration(1, 4))}


def test_an_execution_shared_with_another_model_has_happened():
    statistics = Statistics(Clock())
    statistics.request(ended(1))
    assert statistics.of("m", 1).execution_count == 1


@settings(deadline=None)
@given(st.lists(st.integers(1, 64), min_size=1, max_size=10))
def test_shares_of_whole_batches_are_counted_exactly(sizes):
    statistics = Statistics(Clock())
    for size in sizes:
        for _ in range(size):
            statistics.request(ended(1, timings=Timings(batch_size=size)))
    assert statistics.of("m", 1).execution_count == len(sizes)
    assert {rows: batch.compute_infer.count for rows, batch in statistics.of("m", 1).batches.items()} == {
        size: sizes.count(size) for size in sizes
    }


def test_versions_and_models_are_told_apart_and_forgotten_apart():
    statistics = Statistics(Clock())
    for model, version in (("m", 1), ("m", 2), ("n", 1)):
        statistics.request(ended(model=model, version=version))
    statistics.forget("m", 1)
    statistics.forget("m", 9)
    assert [statistics.of(*key).inference_count for key in (("m", 1), ("m", 2), ("n", 1))] == [0, 1, 1]


class Echo:
    def infer(self, inputs):
        return {"y": inputs["x"]}


@pytest.mark.parametrize("batched", [True, False])
def test_a_scheduler_reports_each_batch_before_its_answers(batched):
    statistics = Statistics(Clock())
    scheduler = Scheduler(
        "m",
        [Echo()],
        BatchingPolicy(max_rows=4 if batched else 1),
        batched=batched,
        on_execution=lambda execution: statistics.executed("m", 1, execution),
    )
    answers = [scheduler.submit({"x": np.zeros((rows, 1))}, rows if batched else 1) for rows in (2, 2, 3)]
    seen = []
    for answer in answers:
        answer.add_done_callback(lambda _: seen.append(statistics.of("m", 1).execution_count))
    scheduler.start()
    scheduler.stop()

    assert seen == ([1, 1, 2] if batched else [1, 2, 3])
    assert {rows: batch.compute_infer.count for rows, batch in statistics.of("m", 1).batches.items()} == (
        {3: 1, 4: 1} if batched else {1: 3}
    )


def test_batches_that_fail_are_no_executions():
    class Failing:
        def infer(self, inputs):
            raise ArithmeticError

    executions = []
    scheduler = Scheduler("m", [Failing()], BatchingPolicy(), on_execution=executions.append)
    scheduler.start()
    answer = scheduler.submit({"x": np.zeros((1, 1))}, 1)
    scheduler.stop()
    assert answer.exception(0) is not None
    assert executions == []


def test_stage_times_of_an_execution_are_those_of_its_requests():
    ticks = iter(range(100))
    executions = []
    scheduler = Scheduler(
        "m", [Echo()], BatchingPolicy(max_rows=2), clock=lambda: next(ticks), on_execution=executions.append
    )
    answer = scheduler.submit({"x": np.zeros((2, 1))}, 2)
    scheduler.start()
    scheduler.stop()
    (execution,) = executions
    timings = answer.result(0).timings
    assert (execution.input_ns, execution.infer_ns, execution.output_ns) == (10**9, 10**9, 10**9)
    assert (timings.preprocess_ns, timings.infer_ns, timings.postprocess_ns) == (10**9, 10**9, 10**9)
    assert timings.batch_size == execution.rows == 2


def test_the_metrics_show_the_executions_that_were_reported():
    metrics = Metrics()
    for rows in (1, 1):
        with metrics.request("m", 1) as outcome:
            outcome.rows = rows
            outcome.timings = TIMINGS
    metrics.executed("m", 1, Execution(1))
    metrics.executed("m", 1, Execution(1))
    metrics.executed("m", 1, Execution(2))
    assert 'nv_inference_exec_count{model="m",version="1"} 3.0' in Exposition(metrics).text().decode()
    assert metrics.statistics.of("m", 1).success.count == 2


def test_many_threads_lose_nothing():
    statistics = Statistics(Clock())

    def work():
        for _ in range(500):
            statistics.request(ended())
            statistics.executed("m", 1, Execution(1))

    seen = []

    def look():
        seen.extend(statistics.of("m", 1).success.count for _ in range(500))

    threads = [threading.Thread(target=each) for each in (work, work, look, work, work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = statistics.of("m", 1)
    assert (found.success.count, found.execution_count) == (2000, 2000)
    assert seen == sorted(seen), "what is counted while others report is counted once"
