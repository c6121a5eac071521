"""What tasks need that threads cannot show: a task that is cancelled ends, whatever else happens at that moment."""

from __future__ import annotations

import asyncio

import pytest

from pasarela_client.aio.concurrency import Condition


@pytest.mark.parametrize("steps", range(6))
async def test_a_wait_that_is_over_does_not_swallow_a_cancellation(steps: int) -> None:
    """So many steps of the event loop lie between that the wait is over and that the task is cancelled."""
    condition, waits = Condition(), asyncio.Event()

    async def wait() -> bool:
        async with condition:
            waits.set()
            return await condition.wait(60)

    task = asyncio.create_task(wait())
    await waits.wait()
    for _ in range(3):
        await asyncio.sleep(0)
    async with condition:
        condition.notify_all()
    for _ in range(steps):
        await asyncio.sleep(0)
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
    async with condition:  # nobody holds it any more
        pass


@pytest.mark.parametrize("timeout_s", [0.0, 0.01])
async def test_a_wait_ends_with_its_time(timeout_s: float) -> None:
    condition = Condition()
    async with condition:
        assert not await condition.wait(timeout_s)
