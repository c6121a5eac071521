"""Waits that Ctrl-C ends, whenever it comes.

CPython looks for signals between its instructions: of one that comes just before a thread falls asleep it only hears
when that thread wakes. So nobody sleeps for good, and whoever waits looks up now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

LOOK_S: Final = 0.5
"""How long one who waits for something without limit sleeps at a stretch."""


def join(thread: threading.Thread) -> None:
    """Waits until a thread has ended."""
    while thread.is_alive():
        thread.join(LOOK_S)


def wait_set(event: threading.Event) -> None:
    """Waits until an event is set."""
    while not event.wait(LOOK_S):
        pass


def wait_until(condition: threading.Condition, holds: Callable[[], object]) -> None:
    """Waits until something holds; the caller has the condition's lock, and whoever changes it notifies."""
    while not condition.wait_for(holds, LOOK_S):
        pass
