"""What gRPC has begun on a call and must itself end: reading a message, writing one.

Its asyncio layer frees what such an operation holds when the operation is over, and never if the task that waits for
it is cancelled before: some hundred bytes for each stream whose client goes away. Here only the waiting is cancelled;
the operation is over as soon as the call is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

_Result = TypeVar("_Result")


async def to_its_end(operation: Awaitable[_Result]) -> _Result:
    """What an operation gives. Who waits may be cancelled, the operation is not; nobody hears then how it ended."""
    begun = asyncio.ensure_future(operation)
    begun.add_done_callback(_heard)
    return await asyncio.shield(begun)


def _heard(ended: asyncio.Future[_Result]) -> None:
    if not ended.cancelled():
        ended.exception()


async def read_to_the_end(messages: AsyncIterator[_Result]) -> AsyncIterator[_Result]:
    """The messages of a stream, each read by an operation that is not cancelled; see `to_its_end`.

    What is read when nobody waits any more is thrown away: the stream is over then.
    """
    iterator = aiter(messages)
    while True:
        try:
            message = await to_its_end(anext(iterator))
        except StopAsyncIteration:
            return
        yield message
