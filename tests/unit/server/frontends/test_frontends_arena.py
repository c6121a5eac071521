"""Room is handed out in the order of asking, and a place in that order is lost with whoever had it."""

import asyncio

import pytest

from pasarela_server.frontends.arena import Arena, ArenaFull

PAGE = 4096


@pytest.fixture
def arena():
    return Arena(4 * PAGE)


async def asking(arena, pages):
    task = asyncio.create_task(arena.reserve(pages * PAGE, 9))
    await asyncio.sleep(0)
    return task


async def test_who_asks_first_is_served_first(arena):
    first = await arena.reserve(3 * PAGE, 9)
    large, small = await asking(arena, 4), await asking(arena, 1)
    assert not small.done(), "there is room for it, but it is not its turn"
    arena.free(first)
    assert await large == 0
    assert not small.done()
    arena.free(0)
    assert await small == 0


async def test_one_that_was_cancelled_makes_way(arena):
    await arena.reserve(3 * PAGE, 9)
    large, small = await asking(arena, 4), await asking(arena, 1)
    large.cancel()
    assert await small == 3 * PAGE


async def test_one_that_was_cancelled_in_its_turn_gives_back(arena):
    first = await arena.reserve(4 * PAGE, 9)
    waiting = await asking(arena, 4)
    arena.free(first)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await arena.reserve(4 * PAGE, 9) == 0


async def test_no_more_may_wait_than_may(arena):
    await arena.reserve(4 * PAGE, 1)
    await asking(arena, 1)
    with pytest.raises(ArenaFull):
        await arena.reserve(PAGE, 1)


async def test_more_than_there_is_is_refused_at_once(arena):
    with pytest.raises(ValueError, match="more than"):
        await arena.reserve(5 * PAGE, 9)
