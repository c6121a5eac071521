"""Who waits where, for how long, and in which order they leave."""

import math

import pytest

from pasarela_server.errors import DeadlineExpired, QueueTimeout
from pasarela_server.scheduling.batch import Entry
from pasarela_server.scheduling.policy import Waiting
from pasarela_server.scheduling.queue import QueuePolicy, RequestQueue


def entry(priority: int = 0, enqueued_s: float = 0.0, deadline_s: float | None = None) -> Entry:
    return Entry({}, Waiting(1, "same", enqueued_s), deadline_s, priority)


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
    assert [entries.index(one) for one in queue.pop(2)] == expected[:2]
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
    for one in (gone, hopeless, delayed):
        queue.append(one)
    queue.sweep(2.0)
    gone.future.cancel()

    dropped = queue.sweep(5.0)

    assert [one.entry for one in dropped] == [gone, hopeless]
    assert all(isinstance(one.reason, DeadlineExpired) for one in dropped)
    assert list(queue) == [delayed]


@pytest.mark.parametrize("fields", [{"max_requests": 0}, {"timeout_s": 0.0}, {"timeout_s": math.nan}])
def test_impossible_policies_are_refused_by_name_of_field(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        QueuePolicy(**fields)  # type: ignore[arg-type]
