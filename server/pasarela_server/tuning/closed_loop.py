"""A steady load: clients that each send their next request when the last one was answered."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable

from pasarela_server.errors import QueueFull, QueueTimeout
from pasarela_server.tuning.measurement import Slice, thin

Send = Callable[[int], Awaitable[object]]
"""Sends the request of this number, counted from 0, and returns when it is answered."""

_TURNED_AWAY_S = 0.01
"""How long a client waits that was refused, before it tries again."""
_LONGEST = 3
"""How many times longer than asked a slice may take, so that there is an answer for each client."""
_MIB = 2**20


class _Over(Exception):
    """The slice has ended: what is still on its way is of no interest."""


class _Window:
    """Counts from when there was an answer for every client, until there is enough."""

    def __init__(self, clients: int, seconds: float) -> None:
        self._clients = clients
        self._seconds = seconds
        self._created = time.perf_counter()
        self._first = 0
        self._began: float | None = None
        self._cpu_began = 0.0
        self.latencies_ms: list[float] = []
        self.refused = 0
        self.elapsed_s = 0.0
        self.cpu_s = 0.0

    def answer(self, sent: float, now: float) -> None:
        if self._is_open(now):
            self.latencies_ms.append(1000 * (now - sent))
            self._close_if_enough(now)

    def refuse(self, now: float) -> None:
        if self._is_open(now):
            self.refused += 1
            self._close_if_enough(now)

    def _is_open(self, now: float) -> bool:
        """First answers are left out: they found everything idle."""
        if self._began is not None:
            return True
        self._first += 1
        if self._first >= self._clients or now - self._created >= self._seconds:
            self._began, self._cpu_began = now, time.process_time()
        return False

    def _close_if_enough(self, now: float) -> None:
        elapsed_s = now - (self._began or now)
        enough = len(self.latencies_ms) >= self._clients or elapsed_s >= _LONGEST * self._seconds
        if elapsed_s >= self._seconds and enough:
            self.elapsed_s, self.cpu_s = elapsed_s, time.process_time() - self._cpu_began
            raise _Over


async def drive(send: Send, clients: int, seconds: float) -> Slice:
    """Keeps up the load for some seconds.

    Args:
        send: Sends one request.
        clients: Requests that are on their way at any time.
        seconds: How long to measure. It takes longer where requests do.

    Raises:
        ServingError: A request failed, other than by being refused.
    """
    window = _Window(clients, seconds)
    number = 0

    async def client() -> None:
        nonlocal number
        while True:
            mine, number = number, number + 1
            sent = time.perf_counter()
            try:
                await send(mine)
            except (QueueFull, QueueTimeout):
                window.refuse(time.perf_counter())
                await asyncio.sleep(_TURNED_AWAY_S)
            else:
                window.answer(sent, time.perf_counter())

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())
    except* _Over:
        pass
    return Slice(
        clients=clients,
        seconds=round(window.elapsed_s, 6),
        completed=len(window.latencies_ms),
        latencies_ms=thin(window.latencies_ms),
        cpu_seconds=round(window.cpu_s, 6),
        peak_mib=round(peak_memory_mib(), 1),
        refused=window.refused,
    )


def peak_memory_mib() -> float:
    """Most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MIB if sys.platform == "darwin" else peak * 1024 / _MIB
