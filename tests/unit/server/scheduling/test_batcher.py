import concurrent.futures
import math
import weakref

import numpy as np
import pytest

from pasarela_server.errors import DeadlineExpired, QueueFull, QueueTimeout, ServerStopping
from pasarela_server.request import Timings
from pasarela_server.scheduling.batch import Batch, BatchAnswer, Entry
from pasarela_server.scheduling.batcher import DynamicBatcher
from pasarela_server.scheduling.estimate import MAX_AGE_S
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


def entry(clock: Clock, rows: int = 1, deadline_s: float = math.inf, shape: str = "shape") -> Entry:
    return Entry({"x": np.zeros((rows, 2))}, Waiting(rows, shape, clock(), deadline_s))


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


def test_other_shapes_wait_side_by_side_and_the_oldest_goes_first(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=4), clock)
    wide, narrow, wide_too, tall = (entry(clock, shape=shape) for shape in ("wide", "narrow", "wide", "tall"))
    for one in (wide, narrow, wide_too, tall):
        batcher.submit(one)
    assert [taken(batcher.try_take()) for _ in range(3)] == [(wide, wide_too), (narrow,), (tall,)]


def test_a_request_given_up_makes_room_at_once(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock, [QueuePolicy(max_requests=1)])
    gone = entry(clock)
    batcher.submit(gone)
    gone.future.cancel()
    assert len(batcher) == 0
    assert concurrent.futures.wait([gone.future], timeout=0).not_done == set(), "whoever waits for it was told"
    batcher.submit(entry(clock))


def busy(batcher: DynamicBatcher, clock: Clock, seconds: float, times: int = 4) -> None:
    """Executions that took so long each, one after the other on instance 0."""
    for _ in range(times):
        batcher.submit(entry(clock))
        assert isinstance(batcher.try_take(), Batch)
        clock.now += seconds
    assert batcher.try_take() == Wait(None)


def test_who_cannot_make_it_is_refused_at_the_door(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock)
    busy(batcher, clock, 1.0)
    with pytest.raises(DeadlineExpired, match=r"'m': 900\.0 ms are left to the deadline.* 1000\.0 ms, 0\.0 ms of it"):
        batcher.submit(entry(clock, deadline_s=clock.now + 0.9))
    batcher.submit(entry(clock, deadline_s=clock.now + 1.0))
    assert isinstance(batcher.try_take(), Batch)
    clock.now += 0.25
    batcher.submit(
        entry(clock, deadline_s=clock.now + 2.11)
    )  # 0.75 s for the one before, then a second, and a fifth in reserve
    with pytest.raises(DeadlineExpired, match=r"3300\.0 ms, 1750\.0 ms of it behind others"):
        batcher.submit(entry(clock, deadline_s=clock.now + 3.0))
    batcher.submit(entry(clock))


def test_who_can_no_longer_make_it_is_not_executed(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock)
    busy(batcher, clock, 1.0)
    batcher.submit(entry(clock))
    batcher.try_take()
    late, alive = entry(clock, deadline_s=clock.now + 2.5), entry(clock)
    batcher.submit(late)
    batcher.submit(alive)
    clock.now += 1.75  # the first execution takes longer than the others did
    assert taken(batcher.try_take()) == (alive,)
    with pytest.raises(DeadlineExpired, match=r"until 750\.0 ms were left"):
        late.future.result(timeout=0)


def test_without_history_nobody_is_refused_who_has_time_left(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock)
    busy(batcher, clock, 100.0, times=3)
    batcher.submit(entry(clock, deadline_s=clock.now + 0.001))
    with pytest.raises(DeadlineExpired, match="has passed"):
        batcher.submit(entry(clock, deadline_s=clock.now))


def test_a_spell_of_refusals_ends(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock)
    busy(batcher, clock, 2.0)
    refused_s = 0.0
    for _ in range(100):
        try:
            batcher.submit(entry(clock, deadline_s=clock.now + 1.0))
            break
        except DeadlineExpired:
            clock.now += 1.0
            refused_s += 1.0
    assert MAX_AGE_S < refused_s < MAX_AGE_S + 3, "what was measured longer ago is forgotten, and work is tried again"


def test_a_batch_closes_before_one_of_it_is_late(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(max_rows=4, max_queue_delay_s=1.0), clock)
    batcher.submit(entry(clock, deadline_s=0.5))
    assert batcher.try_take() == Wait(0.5)


def test_what_has_left_is_not_kept_alive_by_a_deadline_far_away(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock)
    references = []
    for _ in range(3):
        one = entry(clock, deadline_s=1e9)
        references.append(weakref.ref(one.inputs["x"]))
        batcher.submit(one)
        batch = batcher.try_take()
        assert isinstance(batch, Batch)
        batch.entries[0].future.set_result(BatchAnswer({}, Timings()))
    del one, batch
    assert [reference() for reference in references] == [None] * 3


def test_the_outlook_counts_what_runs_and_what_waits(clock: Clock) -> None:
    batcher = DynamicBatcher("m", BatchingPolicy(), clock, instances=2)
    busy(batcher, clock, 1.0)
    assert batcher.outlook("shape").wait_s == 0
    for instance in range(2):
        batcher.submit(entry(clock))
        assert isinstance(batcher.try_take(instance), Batch)
        clock.now += 0.25
    assert batcher.outlook("shape").wait_s == pytest.approx(0.5), "the first instance is free in half a second"
    batcher.submit(entry(clock))
    assert batcher.outlook("shape").wait_s == pytest.approx(0.75)
    assert batcher.outlook("shape", ahead=1).wait_s == pytest.approx(1.5)
    assert batcher.outlook("shape", ahead=1).total_s == pytest.approx(3.0)
