import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.scheduling.policy import BatchingPolicy, CloseReason, Take, Wait, Waiting, decide

NOW = 100.0


def queue(*rows_and_ages: tuple[int, float] | tuple[int, float, str]) -> list[Waiting]:
    return [Waiting(entry[0], entry[2] if len(entry) > 2 else "same", NOW - entry[1]) for entry in rows_and_ages]


EAGER = BatchingPolicy(max_rows=4)
SINGLE = BatchingPolicy(max_rows=4, merge=False, max_queue_delay_s=1.0)
PATIENT = BatchingPolicy(max_rows=4, max_queue_delay_s=1.0)
PREFERRED = BatchingPolicy(max_rows=8, preferred_rows=(2, 4), max_queue_delay_s=1.0)
PREFERRED_EAGER = BatchingPolicy(max_rows=8, preferred_rows=(2, 4))

TABLE = [
    ("an empty queue: wait for the next arrival", EAGER, queue(), Wait(None)),
    ("no delay: an idle instance takes what is there", EAGER, queue((1, 0.0)), Take(1, CloseReason.IDLE)),
    ("no delay: takes all that fits", EAGER, queue((1, 0.0), (1, 0.0)), Take(2, CloseReason.IDLE)),
    ("rows are counted, not requests", EAGER, queue((3, 0.0), (1, 0.0), (1, 0.0)), Take(2, CloseReason.FULL)),
    ("the next does not fit: close without it", EAGER, queue((3, 0.0), (2, 0.0)), Take(1, CloseReason.FULL)),
    ("full to the last row", EAGER, queue((4, 0.0)), Take(1, CloseReason.FULL)),
    ("another shape closes the batch", EAGER, queue((1, 0.0), (1, 0.0, "other")), Take(1, CloseReason.SHAPE)),
    ("a shape that returns later is not pulled forward", EAGER,
     queue((1, 0.0), (1, 0.0, "other"), (1, 0.0)), Take(1, CloseReason.SHAPE)),
    ("merging off: whole requests, one at a time, and none waits", SINGLE,
     queue((2, 0.0), (1, 0.0)), Take(1, CloseReason.ALONE)),
    ("merging off: a lone request does not wait either", SINGLE, queue((2, 0.0)), Take(1, CloseReason.ALONE)),
    ("one row at most: one at a time", BatchingPolicy(), queue((1, 0.0), (1, 0.0)), Take(1, CloseReason.FULL)),
    ("delay: wait for the rest of the oldest's second", PATIENT, queue((1, 0.25), (1, 0.0)), Wait(0.75)),
    ("delay: the oldest has waited enough", PATIENT, queue((1, 1.0), (1, 0.0)), Take(2, CloseReason.DELAY)),
    ("delay: a full batch does not wait", PATIENT, queue((4, 0.0)), Take(1, CloseReason.FULL)),
    ("delay: another shape cannot join, so do not wait", PATIENT,
     queue((1, 0.0), (1, 0.0, "other")), Take(1, CloseReason.SHAPE)),
    ("priorities: the oldest is not the first, and its delay counts", PATIENT,
     queue((1, 0.0), (1, 1.0)), Take(2, CloseReason.DELAY)),
    ("a preferred size leaves at once", PREFERRED, queue((1, 0.1), (1, 0.0)), Take(2, CloseReason.PREFERRED)),
    ("the largest preferred size that was reached", PREFERRED,
     queue((1, 0.1), (1, 0.0), (2, 0.0), (1, 0.0)), Take(3, CloseReason.PREFERRED)),
    ("no preferred size reached: wait", PREFERRED, queue((3, 0.25)), Wait(0.75)),
    ("the delay is over: all that waits, preferred or not", PREFERRED,
     queue((2, 1.5), (1, 0.0)), Take(2, CloseReason.DELAY)),
    ("preferred without a delay", PREFERRED_EAGER, queue((2, 0.0), (1, 0.0)), Take(1, CloseReason.PREFERRED)),
    ("preferred not reached, without a delay", PREFERRED_EAGER, queue((3, 0.0)), Take(1, CloseReason.IDLE)),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "waiting", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_decide(policy: BatchingPolicy, waiting: list[Waiting], expected: Take | Wait) -> None:
    assert decide(waiting, policy, NOW) == expected


@given(
    st.lists(st.tuples(st.integers(1, 8), st.floats(0, 3), st.sampled_from("ab")), min_size=1, max_size=12),
    st.integers(1, 8),
    st.sets(st.integers(1, 8)),
    st.sampled_from([0.0, 0.5, 2.0]),
)
def test_whatever_is_taken_fits_and_is_alike(
    entries: list[tuple[int, float, str]], max_rows: int, preferred: set[int], delay_s: float
) -> None:
    waiting = queue(*[(min(rows, max_rows), age, shape) for rows, age, shape in entries])
    policy = BatchingPolicy(
        max_rows=max_rows,
        preferred_rows=tuple(p for p in preferred if p <= max_rows),
        max_queue_delay_s=delay_s,
    )
    step = decide(waiting, policy, NOW)
    if isinstance(step, Wait):
        assert step.seconds is not None
        assert 0 < step.seconds <= delay_s
    else:
        taken = waiting[: step.count]
        assert 1 <= step.count == len(taken)
        assert sum(entry.rows for entry in taken) <= max_rows
        assert len({entry.shape for entry in taken}) == 1
    if delay_s == 0:
        assert isinstance(step, Take), "work-conserving: without a delay nothing waits while an instance is idle"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_rows": 0}, "max_rows"),
        ({"max_queue_delay_s": -1.0}, "max_queue_delay_s"),
        ({"max_queue_delay_s": math.inf}, "max_queue_delay_s"),
        ({"max_rows": 4, "preferred_rows": (5,)}, "preferred_rows"),
    ],
)
def test_impossible_policies_are_refused_by_name(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        BatchingPolicy(**fields)  # type: ignore[arg-type]
