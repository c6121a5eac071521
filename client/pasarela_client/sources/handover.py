"""Where the thread that reads a camera meets the one that takes its frames."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from pasarela_client.waiting import wait_until

T = TypeVar("T")


class Handover(Generic[T]):
    """Room for one item. Closing it wakes both sides at once."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._items: list[T] = []
        self._closed = False
        self._ended = False

    @property
    def closed(self) -> bool:
        """Whether nobody takes any more."""
        return self._closed

    def put(self, item: T) -> bool:
        """Waits for room and hands the item over; False if nobody takes any more."""
        with self._condition:
            wait_until(self._condition, lambda: self._closed or not self._items)
            if self._closed:
                return False
            self._items.append(item)
            self._condition.notify_all()
            return True

    def end(self) -> None:
        """Says that nothing comes after what was put."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def wait(self) -> None:
        """Waits until there is something to take, or will be nothing."""
        with self._condition:
            wait_until(self._condition, lambda: self._items or self._ended or self._closed)

    def peek(self) -> T | None:
        """What would be taken; None if there is nothing now."""
        with self._condition:
            return self._items[0] if self._items else None

    def take(self) -> T | None:
        """Waits for the next item; None when there will be none."""
        with self._condition:
            wait_until(self._condition, lambda: self._items or self._ended or self._closed)
            if self._closed or not self._items:
                return None
            item = self._items.pop()
            self._condition.notify_all()
            return item

    def sleep(self, seconds: float) -> None:
        """Waits so long, or until it is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """Nobody takes any more."""
        with self._condition:
            self._closed = True
            self._items.clear()
            self._condition.notify_all()
