"""The memory in which a front lays its images for the back: bounded, handed out in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque

from pasarela_server.frontends.slots import Slots


class ArenaFull(Exception):
    """As many ask for room already as may."""


class Arena:
    """Hands out room in the shared memory. Used from the event loop only."""

    def __init__(self, size: int) -> None:
        """Begins with everything free.

        Args:
            size: Bytes, a multiple of 4096.
        """
        self._slots = Slots(size)
        self._waiting: deque[tuple[int, asyncio.Future[int]]] = deque()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._slots.size

    async def reserve(self, size: int, most_waiting: int) -> int:
        """The offset of so many bytes; waits until they are free, behind those who asked before.

        Args:
            size: Bytes, at most `size` of the arena.
            most_waiting: If so many wait already, nobody else may.

        Raises:
            ArenaFull: So many wait.
        """
        if size > self.size:
            raise ValueError(f"{size} bytes are more than the arena has, {self.size}")
        start = None if self._waiting else self._slots.take(size)
        if start is not None:
            return start
        if len(self._waiting) >= most_waiting:
            raise ArenaFull
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free(turn.result())
            else:
                self._serve()
            raise

    def free(self, offset: int) -> None:
        """Gives room back that nobody reads or writes any more, once."""
        self._slots.give_back(offset)
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():
                start = self._slots.take(size)
                if start is None:
                    return
                turn.set_result(start)
            self._waiting.popleft()
