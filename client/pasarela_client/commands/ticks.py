"""What is done again and again, every so many seconds."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator


def ticks(
    every_s: float,
    count: int | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = lambda seconds: threading.Event().wait(seconds),
) -> Iterator[int]:
    """Counts from 1, each number its time after the one before.

    Where the caller took longer than that, the next number comes at once and the others their time after it: what was
    missed is not made up for, since rates over no time say nothing.

    Args:
        every_s: From one to the next.
        count: The last one; None never ends.
        clock: Seconds that never go back.
        wait: Lets so many seconds pass.
    """
    due_s = clock()
    for number in itertools.count(1) if count is None else range(1, count + 1):
        due_s = max(due_s + every_s, clock())
        wait(max(0.0, due_s - clock()))
        yield number
