"""Waiting that ends: for what may never come."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

_T = TypeVar("_T")


class Overdue(Exception):
    """It has not come in time."""


async def before(due: asyncio.Future[Any], awaited: asyncio.Future[_T]) -> _T:
    """What a future gives, unless something else is done before it.

    Where the wait ends without it, the future is cancelled; if it is a task, its end is waited for.

    Args:
        due: Is done when it is too late; several waits may share it.
        awaited: The future.

    Raises:
        Overdue: `due` was done first.
    """
    try:
        await asyncio.wait((awaited, due), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not awaited.done():
            awaited.cancel()
            await asyncio.wait((awaited,))
    if awaited.cancelled():
        raise Overdue
    return awaited.result()
