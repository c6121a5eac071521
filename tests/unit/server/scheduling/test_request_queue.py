"""Who waits where, for how long, and in which order they leave."""

import math
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.errors import DeadlineExpired, QueueTimeout
from pasarela_server.scheduling.batch import Entry
from pasarela_server.scheduling.policy import Waiting
from pasarela_server.scheduling.queue import Before, QueuePolicy, RequestQueue


def entry(
    priority: int = 0, enqueued_s: float = 0.0, deadline_s: float = math.inf, shape: str = "same", rows: int = 1
) -> Entry:
    return Entry({}, Waiting(rows, shape, enqueued_s, deadline_s), priority)


@pytest.mark.parametrize(
    ("priorities", "expected"),
    [
        ([1, 2, 1, 2], [0, 2, 1, 3]),  # reason: by level, and within one in the order of arrival
        ([0, 1, 0], [1, 0, 2]),  # reason: none named: the default, which is 2
        ([3, 9, 2], [1, 2, 0]),  # reason: a level that does not exist is the default
    ],
)
def test_the_order_in_which_they_leave(priorities: list[int], expected: list[int]) -> None:
    queue = RequestQueue("m", [QueuePolicy()] * 3, default_level=2)
    entries = [entry(priority) for priority in priorities]
    for one in entries:
        queue.append(one)

    assert [entries.index(one) for one in queue] == expected
    assert [entries.index(one) for one in queue.pop(2, "same")] == expected[:2]
    assert [entries.index(one) for one in queue.clear()] == expected[2:]
    assert len(queue) == 0


def test_each_level_has_a_bound_of_its_own() -> None:
    queue = RequestQueue("m", [QueuePolicy(max_requests=1), QueuePolicy(max_requests=3)])
    queue.append(entry(1))
    queue.append(entry(2))

    assert (queue.room(1), queue.room(2), queue.room(0)) == (0, 2, 0)
    assert (queue.limit(1), queue.limit(2)) == (1, 3)


def test_who_waited_too_long_is_refused() -> None:
    queue = RequestQueue("m", [QueuePolicy(timeout_s=2.0)])
    late, alive = entry(enqueued_s=0.0), entry(enqueued_s=1.0)
    queue.append(late)
    queue.append(alive)

    assert queue.sweep(1.9) == []
    (dropped,) = queue.sweep(2.0)

    assert dropped.entry is late
    assert isinstance(dropped.reason, QueueTimeout)
    assert "'m' longer than the 2 s" in str(dropped.reason)
    assert list(queue) == [alive]


def test_or_delayed_behind_all_others_of_the_level() -> None:
    queue = RequestQueue("m", [QueuePolicy(timeout_s=2.0, delay_on_timeout=True), QueuePolicy()])
    late, urgent, other = entry(1), entry(1, enqueued_s=1.5), entry(2)
    for one in (late, urgent, other):
        queue.append(one)

    assert queue.sweep(2.0) == []
    assert list(queue) == [urgent, late, other]
    assert queue.room(1) == 254, "it still waits"
    assert queue.sweep(9.0) == []
    assert list(queue) == [late, urgent, other]


def test_who_is_gone_or_past_the_deadline_leaves_both_lines() -> None:
    queue = RequestQueue("m", [QueuePolicy(timeout_s=1.0, delay_on_timeout=True)])
    gone, hopeless, delayed = entry(), entry(deadline_s=5.0), entry()
    tickets = [queue.append(one) for one in (gone, hopeless, delayed)]
    queue.sweep(2.0)

    assert queue.discard(tickets[0]) is gone
    assert queue.discard(tickets[0]) is None
    dropped = queue.sweep(5.0)

    assert [one.entry for one in dropped] == [hopeless]
    assert all(isinstance(one.reason, DeadlineExpired) for one in dropped)
    assert list(queue) == [delayed]


@pytest.mark.parametrize("fields", [{"max_requests": 0}, {"timeout_s": 0.0}, {"timeout_s": math.nan}])
def test_impossible_policies_are_refused_by_name_of_field(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        QueuePolicy(**fields)  # type: ignore[arg-type]


def lines(queue: RequestQueue) -> list[tuple[Hashable, int]]:
    """Shapes, and how many of each are waiting."""
    return [(shape, len(list(waiting))) for shape, waiting in queue.lines()]


def test_the_line_of_the_next_request_comes_first_then_those_that_may_be_due() -> None:
    queue = RequestQueue("m", [QueuePolicy(timeout_s=10.0, delay_on_timeout=True)] * 2, 2, max_rows=4, ripe_rows=2)
    for shape in ("a", "b", "c", "d", "c"):
        queue.append(entry(2, shape=shape))
    assert lines(queue) == [("a", 1), ("c", 2)], "c has the rows; b and d are younger than a and have not"
    queue.append(entry(2, deadline_s=50.0, shape="d"))
    assert lines(queue) == [("a", 1), ("c", 2), ("d", 2)]
    queue.append(entry(2, deadline_s=5.0, shape="e"))
    assert lines(queue)[-1] == ("e", 1), "the earliest deadline is in e"
    queue.append(entry(1, shape="b"))
    assert lines(queue)[:2] == [("b", 2), ("a", 1)], "the more urgent, then the oldest of the level below"
    assert queue.pop(9, "b")[0].priority == 1
    assert lines(queue)[0] == ("a", 1)


def test_requests_of_a_shape_are_gathered_past_the_others() -> None:
    queue = RequestQueue("m", [QueuePolicy()], max_rows=4)
    entries = [entry(shape=shape) for shape in "abaab"]
    tickets = [queue.append(one) for one in entries]
    assert queue.discard(tickets[2]) is entries[2]
    assert queue.pop(2, "a") == [entries[0], entries[3]]
    assert queue.pop(9, "b") == [entries[1], entries[4]]


BEFORE = [
    ("nothing", [], "a", (0, 0, 0, 0)),
    ("a batch of another shape", [("b", 1)], "a", (1, 1, 1, 0)),
    ("rows to share a batch with", [("a", 3)], "a", (1, 3, 0, 3)),
    ("a full batch", [("a", 4)], "a", (1, 4, 1, 0)),
    ("a full batch, and one to join", [("a", 4), ("a", 1)], "a", (2, 5, 1, 1)),
    ("every other shape that came before", [("b", 1), ("c", 5), ("d", 1)], "a", (3, 7, 4, 0)),
    ("the batch to join is the oldest", [("a", 1), ("b", 1), ("c", 1)], "a", (3, 3, 0, 1)),
    ("the batch to join is the youngest", [("b", 1), ("c", 1), ("a", 1)], "a", (3, 3, 2, 1)),
]


@pytest.mark.parametrize(("waiting", "shape", "expected"), [row[1:] for row in BEFORE], ids=[row[0] for row in BEFORE])
def test_what_comes_before_a_newcomer(
    waiting: list[tuple[str, int]], shape: str, expected: tuple[int, int, int, int]
) -> None:
    queue = RequestQueue("m", [QueuePolicy()], max_rows=4)
    for other, rows in waiting:
        queue.append(entry(shape=other, rows=rows))
    assert queue.before(0, shape) == Before(*expected)


def test_less_urgent_requests_come_after_a_newcomer() -> None:
    queue = RequestQueue("m", [QueuePolicy()] * 2, max_rows=4)
    for _ in range(8):
        queue.append(entry(2))
    assert queue.before(1, "same") == Before(0, 0, 0, 0)
    assert queue.before(2, "same") == Before(8, 8, 2, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 2), st.booleans()), max_size=40),
       st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), max_size=20))  # fmt: skip
def test_nothing_is_lost_and_nothing_leaves_twice(
    arrivals: list[tuple[str, int, int, bool]], takes: list[tuple[str, int]]
) -> None:
    queue = RequestQueue("m", [QueuePolicy(timeout_s=1.0, delay_on_timeout=True), QueuePolicy()], max_rows=4)
    entries, left = [], []
    for shape, rows, priority, timed in arrivals:
        entries.append(entry(priority, deadline_s=5.0 if timed else math.inf, shape=shape, rows=rows))
        queue.append(entries[-1])
    queue.sweep(2.0)
    for shape, count in takes:
        taken = queue.pop(count, shape)
        assert all(one.waiting.shape == shape for one in taken)
        assert [one.priority for one in taken] == sorted(one.priority for one in taken), "levels still rule"
        left += taken
    assert queue.before(2, "none").rows == sum(one.waiting.rows for one in entries) - sum(
        one.waiting.rows for one in left
    )
    left += [one.entry for one in queue.sweep(5.0)]
    left += queue.clear()
    assert sorted(map(id, left)) == sorted(map(id, entries))
    assert len(queue) == 0
    assert queue.before(2, "a") == Before(0, 0, 0, 0)
    assert lines(queue) == []
