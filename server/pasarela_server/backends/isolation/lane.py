"""What one session of a model shares with the server: a socket for messages, and memory for tensors."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Mapping

from pasarela_server.backends.isolation.messages import Message, Place, read_places
from pasarela_server.backends.isolation.wire import receive, send
from pasarela_server.processes.memory import SharedMemory, describe
from pasarela_server.tensor import Array

_ALIGNMENT = 64
_GRAIN = 2**20
"""Memory grows in steps of so many bytes; it is taken as it is used."""


def align(offset: int) -> int:
    """The next place where a tensor may begin."""
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


class Lane:
    """One end. Whoever uses it holds `turn`; `sever` may be called from any thread.

    The memory grows to what the largest batch takes, and is given back when both ends are closed.
    """

    def __init__(self, link: socket.socket, memory_fd: int) -> None:
        """Takes over the socket and the descriptor."""
        self._link = link
        self._memory_fd = memory_fd
        self._closed = False
        self._memory: SharedMemory | None = None
        self.turn = threading.Lock()
        """Held while the lane is used: it is not closed meanwhile."""

    @property
    def closed(self) -> bool:
        """Whether everything has been given back."""
        return self._closed

    def memory(self, size: int) -> SharedMemory:
        """The memory, at least so many bytes of it."""
        memory = self._memory
        if memory is None or memory.size < size:
            if os.fstat(self._memory_fd).st_size < size:
                os.ftruncate(self._memory_fd, -(-size // _GRAIN) * _GRAIN)
            memory = self._memory = SharedMemory(self._memory_fd, os.fstat(self._memory_fd).st_size)
        return memory

    def write(self, arrays: Iterable[tuple[str, Array]], start: int) -> tuple[list[Place], int]:
        """Copies arrays into the memory, from a place on; where each is, and where the last one ends."""
        placed = list(arrays)
        places: list[Place] = []
        end = start
        for name, array in placed:
            offset = align(end)
            places.append((name, offset, describe(array)))
            end = offset + array.nbytes
        memory = self.memory(end)
        for (_, array), (_, offset, _) in zip(placed, places, strict=True):
            memory.write(offset, array)
        return places, end

    def views(self, text: str, size: int) -> Mapping[str, Array]:
        """The arrays that the other side has written, where they lie.

        Args:
            text: Where they are.
            size: Bytes of the memory that they need.

        Raises:
            BrokenLink: They would reach beyond it.
        """
        memory = self.memory(size)
        return {name: memory.view(offset, layout) for name, offset, layout in read_places(text)}

    def send(self, message: Message) -> None:
        """Sends a message; raises OSError if nobody takes it."""
        send(self._link, message)

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message; None if the other side has gone.

        Raises:
            TimeoutError: None came in time.
            BrokenLink: What came is none.
        """
        self._link.settimeout(timeout_s)
        return receive(self._link)

    def sever(self) -> None:
        """Lets whoever waits here hear that the other side has gone."""
        try:
            self._link.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is severed already

    def close(self) -> None:
        """Gives everything back, once nobody uses the lane; nobody may afterwards."""
        with self.turn:
            if self._closed:
                return
            self._closed = True
            self._link.close()
            os.close(self._memory_fd)
            self._memory = None
