"""Working on a stream some items at a time, in order."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pasarela_server.rpc.ordered import ReadingStopped, map_in_order


async def never():
    await asyncio.Event().wait()


class Items:
    """An endless source that counts what was read."""

    def __init__(self, count=10**9):
        self.read = 0
        self.count = count

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.read == self.count:
            raise StopAsyncIteration
        self.read += 1
        return self.read - 1


async def settle():
    """Lets everything that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


def other_tasks():
    return asyncio.all_tasks() - {asyncio.current_task()}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 6))
def test_results_come_in_the_order_of_the_items(turns, limit):
    async def run():
        async def call(index):
            for _ in range(turns[index]):
                await asyncio.sleep(0)
            return index

        return [result async for result in map_in_order(Items(len(turns)), call, limit, never)]

    assert asyncio.run(run()) == list(range(len(turns)))


async def test_reads_no_further_than_the_limit():
    items, gate = Items(), asyncio.Event()

    async def call(index):
        await gate.wait()
        return index

    results = map_in_order(items, call, 3, never)
    first = asyncio.ensure_future(anext(results))
    await settle()
    assert items.read == 3

    gate.set()
    assert await first == 0
    await settle()
    assert items.read == 3, "a result that was not taken keeps its room"

    assert await anext(results) == 1
    await settle()
    assert items.read == 4
    await results.aclose()


async def test_closing_leaves_nothing_running():
    cancelled = []

    async def call(index):
        try:
            await never()
        except asyncio.CancelledError:
            cancelled.append(index)
            raise

    async def consume():
        async with contextlib.aclosing(map_in_order(Items(), call, 4, never)) as results:
            await anext(results)

    consumer = asyncio.create_task(consume())
    await settle()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer

    assert sorted(cancelled) == [0, 1, 2, 3]
    assert not other_tasks()


async def test_a_failing_source_is_heard_after_what_it_gave():
    async def source():
        yield 0
        raise OSError("the wire broke")

    async def call(index):
        return index

    got = []
    with pytest.raises(OSError, match="the wire broke"):
        async for result in map_in_order(source(), call, 2, never):
            got.append(result)  # noqa: PERF401 - an exception follows
    assert got == [0]
    assert not other_tasks()


async def test_stopping_answers_what_was_read_and_reads_no_more():
    items, stop, gate = Items(), asyncio.Event(), asyncio.Event()

    async def call(index):
        await gate.wait()
        return index

    got = []

    async def consume():
        async for result in map_in_order(items, call, 3, stop.wait):
            got.append(result)  # noqa: PERF401 - an exception follows

    consumer = asyncio.create_task(consume())
    await settle()
    stop.set()
    await settle()
    gate.set()
    with pytest.raises(ReadingStopped):
        await consumer

    assert got == [0, 1, 2]
    assert items.read == 3
    assert not other_tasks()
