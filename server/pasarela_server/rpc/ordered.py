"""Work on a stream, some items at a time, with the results in the order of the items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class ReadingStopped(Exception):
    """Items were left unread because reading was stopped; all that were read have been answered."""


async def map_in_order(
    items: AsyncIterator[_Item],
    call: Callable[[_Item], Coroutine[Any, Any, _Result]],
    limit: int,
    stop_reading: Callable[[], Awaitable[None]],
) -> AsyncGenerator[_Result, None]:
    """Calls `call` for each item and yields the results in order.

    At most `limit` items are read whose results have not been taken: a slow consumer slows the reading down. However
    the generator ends, nothing that it started is left running when it has been closed.

    Args:
        items: Read one after the other.
        call: Started for an item as soon as it has been read. The first exception ends the generator.
        limit: At least 1.
        stop_reading: When it returns, no further item is read; what has been read is still answered.

    Raises:
        ReadingStopped: `stop_reading` returned before the items had ended.
    """
    room = asyncio.Semaphore(limit)
    started: asyncio.Queue[asyncio.Task[_Result] | None] = asyncio.Queue()
    running: set[asyncio.Task[_Result]] = set()

    async def read() -> None:
        await room.acquire()
        async for item in items:
            task = asyncio.create_task(call(item))
            running.add(task)
            started.put_nowait(task)
            await room.acquire()

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: started.put_nowait(None))
    stopper = asyncio.create_task(_cancel_after(stop_reading, reader))
    try:
        while (task := await started.get()) is not None:
            result = await task
            running.discard(task)
            yield result
            room.release()
        if reader.cancelled():
            raise ReadingStopped
        reader.result()
    finally:
        leftovers = (reader, stopper, *running)
        for leftover in leftovers:
            leftover.cancel()
        await asyncio.gather(*leftovers, return_exceptions=True)


async def _cancel_after(event: Callable[[], Awaitable[None]], task: asyncio.Task[None]) -> None:
    await event()
    task.cancel()
