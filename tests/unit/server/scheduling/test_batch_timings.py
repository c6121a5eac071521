"""What a request is told of the batch that it travelled in: why it was closed, its rows, which instance ran it."""

import itertools
import threading
from collections.abc import Mapping

import numpy as np
import pytest

from pasarela_server.scheduling.policy import BatchingPolicy
from pasarela_server.scheduling.scheduler import Scheduler
from pasarela_server.tensor import Array

SECONDS = 20
"""How long a test waits for an answer before it counts as lost."""


class Held:
    """Answers when its gate opens, and says when it was entered."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        self.entered.set()
        assert self.gate.wait(SECONDS)
        return {"y": inputs["x"]}


def rows(count: int) -> dict[str, Array]:
    return {"x": np.zeros((count, 1))}


@pytest.mark.parametrize(
    ("policy", "waiting", "reason", "batch_size"),
    [
        pytest.param({"max_rows": 4}, [2, 2], "full", 4, id="as many rows as fit"),
        pytest.param({"max_rows": 4}, [3, 2], "full", 3, id="the next does not fit any more"),
        pytest.param({"max_rows": 8, "preferred_rows": (4,)}, [2, 2, 1], "preferred", 4, id="a preferred size"),
        pytest.param({"max_rows": 8}, [1, 2], "idle", 3, id="no delay was asked for"),
        pytest.param({"max_rows": 8, "max_queue_delay_s": 1e-6}, [1, 2], "delay", 3, id="the delay is over"),
        pytest.param({"max_rows": 8, "merge": False}, [2, 1], "alone", 2, id="nothing is merged"),
    ],
)
def test_a_request_is_told_why_its_batch_was_closed(
    policy: dict[str, object], waiting: list[int], reason: str, batch_size: int
) -> None:
    session = Held()
    scheduler = Scheduler("m", [session], BatchingPolicy(**policy))  # type: ignore[arg-type]
    scheduler.start()
    busy = scheduler.submit(rows(policy["max_rows"]), policy["max_rows"])  # type: ignore[arg-type]
    assert session.entered.wait(SECONDS)
    answers = [scheduler.submit(rows(count), count) for count in waiting]
    session.gate.set()

    assert busy.result(SECONDS).timings.batch_size == policy["max_rows"]
    timings = answers[0].result(SECONDS).timings
    assert (timings.close_reason, timings.batch_size, timings.instance) == (reason, batch_size, 0)
    scheduler.stop()


def test_a_request_is_told_which_instance_ran_it() -> None:
    sessions = [Held(), Held()]
    scheduler = Scheduler("m", sessions, BatchingPolicy())
    scheduler.start()
    answers = [scheduler.submit(rows(1), 1) for _ in sessions]
    for session in sessions:
        assert session.entered.wait(SECONDS)
    for session in sessions:
        session.gate.set()
    assert {answer.result(SECONDS).timings.instance for answer in answers} == {0, 1}
    scheduler.stop()


def test_stages_follow_each_other_from_the_moment_it_was_submitted() -> None:
    session = Held()
    session.gate.set()
    ticks = itertools.count(1)
    scheduler = Scheduler("m", [session], BatchingPolicy(), clock=lambda: next(ticks) / 1000)
    answer = scheduler.submit(rows(1), 1)
    scheduler.start()
    timings = answer.result(SECONDS).timings
    assert timings.queue_ns > 0
    assert (timings.batch_ns, timings.infer_ns, timings.split_ns) == (10**6, 10**6, 10**6)
    assert timings.total_ns == 0, "nobody has told when it came"
    whole = timings.answered(timings.submitted_ns - 5, 0, timings.submitted_ns + 10**9)
    assert (whole.receive_ns, whole.total_ns) == (5, 10**9 + 5)
    scheduler.stop()
