import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.scheduling.policy import (
    BatchingPolicy,
    CloseReason,
    Take,
    Wait,
    Waiting,
    decide,
    decide_line,
    decide_lone,
)

NOW = 100.0


def queue(*rows_and_ages: tuple[int, float] | tuple[int, float, float]) -> list[Waiting]:
    """Rows, age, and the time that is left to the deadline."""
    return [
        Waiting(entry[0], "same", NOW - entry[1], NOW + entry[2] if len(entry) > 2 else math.inf)
        for entry in rows_and_ages
    ]


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
    ("merging off: whole requests, one at a time, and none waits", SINGLE,
     queue((2, 0.0), (1, 0.0)), Take(1, CloseReason.ALONE)),
    ("merging off: a lone request does not wait either", SINGLE, queue((2, 0.0)), Take(1, CloseReason.ALONE)),
    ("one row at most: one at a time", BatchingPolicy(), queue((1, 0.0), (1, 0.0)), Take(1, CloseReason.FULL)),
    ("delay: wait for the rest of the oldest's second", PATIENT, queue((1, 0.25), (1, 0.0)), Wait(0.75)),
    ("delay: the oldest has waited enough", PATIENT, queue((1, 1.0), (1, 0.0)), Take(2, CloseReason.DELAY)),
    ("delay: a full batch does not wait", PATIENT, queue((4, 0.0)), Take(1, CloseReason.FULL)),
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
    ("a deadline before the delay is over, less what the execution takes", PATIENT,
     queue((1, 0.0), (1, 0.0, 0.5)), Wait(0.25)),
    ("a deadline that leaves no time to wait", PATIENT, queue((1, 0.5), (1, 0.0, 0.25)), Take(2, CloseReason.DEADLINE)),
    ("a deadline after the delay", PATIENT, queue((1, 0.5, 5.0)), Wait(0.5)),
    ("a deadline of one that does not fit any more", PATIENT,
     queue((3, 0.0), (2, 0.0, 0.1)), Take(1, CloseReason.FULL)),
    ("a deadline, and the oldest has waited enough anyway", PATIENT,
     queue((1, 1.0, 0.1)), Take(1, CloseReason.DELAY)),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "waiting", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_decide_line(policy: BatchingPolicy, waiting: list[Waiting], expected: Take | Wait) -> None:
    assert decide_line(waiting, policy, NOW, service_s=0.25) == expected


LINES = [
    ("nothing waits", EAGER, {}, Wait(None)),
    ("no delay: the line of the next request, whatever the others hold", EAGER,
     {"a": queue((1, 1.0)), "b": queue((4, 0.5))}, Take(1, CloseReason.IDLE, "a")),
    ("delay: a line that is full overtakes one that is not", PATIENT,
     {"a": queue((1, 0.5)), "b": queue((4, 0.0))}, Take(1, CloseReason.FULL, "b")),
    ("delay: no line is due; the first that will be", PATIENT,
     {"a": queue((1, 0.25)), "b": queue((1, 0.75)), "c": queue((1, 0.0))}, Wait(0.25)),
    ("delay: the next request's is over, so no full line overtakes it", PATIENT,
     {"a": queue((1, 1.0)), "b": queue((4, 0.5))}, Take(1, CloseReason.DELAY, "a")),
    ("each line has a delay of its own: a younger one's is not counted from the oldest", PATIENT,
     {"a": queue((4, 1.5)), "b": queue((1, 0.5))}, Take(1, CloseReason.FULL, "a")),
    ("a line whose requests have all been given up", PATIENT, {"a": [], "b": queue((1, 0.25))}, Wait(0.75)),
    ("a deadline in another line", PATIENT,
     {"a": queue((1, 0.0)), "b": queue((1, 0.0, 0.25))}, Take(1, CloseReason.DEADLINE, "b")),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "lines", "expected"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_decide_between_lines(policy: BatchingPolicy, lines: dict[str, list[Waiting]], expected: Take | Wait) -> None:
    assert decide(lines.items(), policy, NOW, service_s=0.25) == expected


@given(st.integers(1, 8), st.integers(1, 8), st.sets(st.integers(1, 8)), st.booleans(), st.sampled_from([0.0, 0.5]))
def test_a_lone_request_is_decided_as_a_line_of_one(
    rows: int, max_rows: int, preferred: set[int], merge: bool, delay_s: float
) -> None:
    policy = BatchingPolicy(
        max_rows=max_rows,
        merge=merge,
        preferred_rows=tuple(p for p in preferred if p <= max_rows),
        max_queue_delay_s=delay_s,
    )
    step = decide_line(queue((min(rows, max_rows), 0.0)), policy, NOW)
    assert decide_lone(min(rows, max_rows), policy) == (step.reason if isinstance(step, Take) else None)


@given(
    st.lists(st.tuples(st.integers(1, 8), st.floats(0, 3), st.sampled_from("ab")), min_size=1, max_size=12),
    st.integers(1, 8),
    st.sets(st.integers(1, 8)),
    st.sampled_from([0.0, 0.5, 2.0]),
)
def test_whatever_is_taken_fits(
    entries: list[tuple[int, float, str]], max_rows: int, preferred: set[int], delay_s: float
) -> None:
    lines: dict[str, list[Waiting]] = {}
    for rows, age, shape in sorted(entries, key=lambda entry: -entry[1]):
        lines.setdefault(shape, []).extend(queue((min(rows, max_rows), age)))
    policy = BatchingPolicy(
        max_rows=max_rows,
        preferred_rows=tuple(p for p in preferred if p <= max_rows),
        max_queue_delay_s=delay_s,
    )
    step = decide(lines.items(), policy, NOW)
    if isinstance(step, Wait):
        assert step.seconds is not None
        assert 0 < step.seconds <= delay_s
    else:
        taken = lines[str(step.shape)][: step.count]
        assert 1 <= step.count == len(taken)
        assert sum(entry.rows for entry in taken) <= max_rows
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
