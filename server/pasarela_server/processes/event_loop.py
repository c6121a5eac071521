"""The event loop of processes that speak gRPC: libuv's (uvloop), which spends less of Python's time on each event.

Where there is none, as on Windows, it is asyncio's own: nothing else changes (decision 31).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Runs a coroutine to its end on a loop of its own, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes loops; None leaves it to asyncio."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
