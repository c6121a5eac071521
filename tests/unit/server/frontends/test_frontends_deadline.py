"""Waiting until something else comes first."""

import asyncio

import pytest

from pasarela_server.frontends.deadline import Overdue, before


@pytest.fixture
async def due():
    return asyncio.get_running_loop().create_future()


@pytest.fixture
async def awaited():
    return asyncio.get_running_loop().create_future()


async def test_what_comes_in_time_is_given_and_the_deadline_stays_for_the_next(due, awaited):
    awaited.set_result("a word")
    assert await before(due, awaited) == "a word"
    assert not due.done()


async def test_what_fails_in_time_has_failed(due, awaited):
    awaited.set_exception(OSError("no room"))
    with pytest.raises(OSError, match="no room"):
        await before(due, awaited)


async def test_what_has_come_at_the_last_moment_has_come(due, awaited):
    due.set_result(None)
    awaited.set_result("a word")
    assert await before(due, awaited) == "a word"


async def test_what_has_not_come_is_cancelled(due, awaited):
    due.set_result(None)
    with pytest.raises(Overdue):
        await before(due, awaited)
    assert awaited.cancelled()


@pytest.mark.parametrize("who", ["the deadline", "the waiter"])
async def test_a_task_has_tidied_up_when_the_wait_is_over(due, who):
    tidied = asyncio.Event()
    began = asyncio.Event()

    async def work():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.set()

    waiting = asyncio.create_task(before(due, asyncio.create_task(work())))
    await began.wait()
    if who == "the deadline":
        due.set_result(None)
    else:
        waiting.cancel()
    with pytest.raises(Overdue if who == "the deadline" else asyncio.CancelledError):
        await waiting
    assert tidied.is_set()
