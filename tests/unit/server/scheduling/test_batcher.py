import numpy as np
import pytest

from pasarela_server.errors import DeadlineExpired, QueueFull, QueueTimeout, ServerStopping
from pasarela_server.scheduling.batch import Batch, Entry
from pasarela_server.scheduling.batcher import DynamicBatcher
from pasarela_server.scheduling.policy import BatchingPolicy, Wait, Waiting
from pasarela_server.scheduling.queue import QueuePolicy


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def entry(clock: Clock, rows: int = 1, deadline_s: float | None = None) -> Entry:
    return Entry({"x": np.zeros((rows, 2))}, Waiting(rows, "shape", clock()), deadline_s)


def taken(step: Batch | Wait) -> tuple[Entry, ...]:
    assert isinstance(step, Batch)
    return step.entries


def test_entries_leave_together_in_the_order_in_which_they_came(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=2), clock)
    entries = [entry(clock) for _ in range(3)]
    for one in entries:
        batcher.submit(one)
    assert taken(batcher.try_take()) == tuple(entries[:2])
    assert taken(batcher.try_take()) == (entries[2],)
    assert batcher.try_take() == Wait(None)


def test_a_cancelled_entry_takes_no_place_in_the_batch(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=2), clock)
    first, gone, third = (entry(clock) for _ in range(3))
    for one in (first, gone, third):
        batcher.submit(one)
    assert gone.future.cancel()
    assert taken(batcher.try_take()) == (first, third)


def test_an_expired_entry_is_answered_and_not_executed(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=2), clock)
    late, alive = entry(clock, deadline_s=1.0), entry(clock, deadline_s=3.0)
    batcher.submit(late)
    batcher.submit(alive)
    clock.now = 2.0
    assert taken(batcher.try_take()) == (alive,)
    with pytest.raises(DeadlineExpired, match="'m'"):
        late.future.result(timeout=0)


def test_a_free_instance_wakes_for_an_entry_that_will_have_waited_too_long(clock: Clock) -> None:
    levels = [QueuePolicy(timeout_s=2.0), QueuePolicy(timeout_s=3.0)]
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=4, max_queue_delay_s=5.0), clock, levels, default_level=2)
    first = entry(clock)
    batcher.submit(first)
    assert batcher.try_take() == Wait(3.0)
    clock.now = 1.0
    second = entry(clock)
    batcher.submit(second)
    assert batcher.try_take() == Wait(2.0)
    clock.now = 3.0
    assert batcher.try_take() == Wait(1.0)
    with pytest.raises(QueueTimeout):
        first.future.result(timeout=0)
    assert not second.future.done()


def test_a_taken_entry_cannot_be_cancelled_any_more(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock)
    one = entry(clock)
    batcher.submit(one)
    batcher.try_take()
    assert not one.future.cancel()


def test_the_queue_is_bounded_and_says_so(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock, [QueuePolicy(max_requests=2)])
    batcher.submit(entry(clock))
    batcher.submit(entry(clock))
    with pytest.raises(QueueFull, match=r"'m' holds 2 requests"):
        batcher.submit(entry(clock))


def test_abandoned_entries_make_room_for_new_ones(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock, [QueuePolicy(max_requests=2)])
    cancelled, expired = entry(clock), entry(clock, deadline_s=1.0)
    batcher.submit(cancelled)
    batcher.submit(expired)
    cancelled.future.cancel()
    clock.now = 1.0
    fresh = entry(clock)
    batcher.submit(fresh)
    assert len(batcher) == 1
    assert isinstance(expired.future.exception(timeout=0), DeadlineExpired)


def test_the_delay_is_measured_from_the_oldest(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=4, max_queue_delay_s=1.0), clock)
    batcher.submit(entry(clock))
    clock.now = 0.75
    batcher.submit(entry(clock))
    assert batcher.try_take() == Wait(0.25)
    clock.now = 1.0
    assert len(taken(batcher.try_take())) == 2


def test_draining_hands_out_what_waits_and_refuses_the_rest(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=4, max_queue_delay_s=60.0), clock)
    one = entry(clock)
    batcher.submit(one)
    batcher.close(drain=True)
    with pytest.raises(ServerStopping):
        batcher.submit(entry(clock))
    batch = batcher.take()
    assert batch is not None
    assert batch.entries == (one,), "a drain does not wait for the queue delay"
    assert batcher.take() is None


def test_closing_without_a_drain_fails_what_waits(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock)
    one, gone = entry(clock), entry(clock)
    batcher.submit(one)
    batcher.submit(gone)
    gone.future.cancel()
    batcher.close(drain=False)
    assert isinstance(one.future.exception(timeout=0), ServerStopping)
    assert batcher.take() is None
