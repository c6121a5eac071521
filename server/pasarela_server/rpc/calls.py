"""Requests that are being answered: counted, so that the server can stop when the last one has its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from pasarela_server.errors import ServerStopping

OnStream = Callable[[str, int], None]
"""Told the method of a stream, and 1 when it is opened or -1 when it has ended."""


def nobody_counts(method: str, difference: int) -> None:
    """Takes no notice."""


class OpenCalls:
    """The door of the server. Used from the event loop only."""

    def __init__(self, on_stream: OnStream = nobody_counts) -> None:
        self._on_stream = on_stream
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = asyncio.Event()

    def __len__(self) -> int:
        return self._open

    @property
    def stopping(self) -> bool:
        """True once the server takes no new requests."""
        return self._stopping.is_set()

    def admitted(self) -> Self:
        """Counts a request as open while the block runs: `with calls.admitted(): …`.

        Raises:
            ServerStopping: The server takes no new requests.
        """
        if self.stopping:
            raise ServerStopping("the server is stopping and takes no new requests; try another one, or again later")
        return self

    def __enter__(self) -> Self:
        if not self._open:
            self._idle.clear()
        self._open += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open -= 1
        if not self._open:
            self._idle.set()

    @contextlib.contextmanager
    def streaming(self, method: str) -> Iterator[None]:
        """Counts a stream as open while the block runs; see `admitted`."""
        with self.admitted():
            self._on_stream(method, 1)
            try:
                yield
            finally:
                self._on_stream(method, -1)

    def stop(self) -> None:
        """Refuses requests from now on. Open ones go on; streams answer what they have read, then end."""
        self._stopping.set()

    async def wait_stopping(self) -> None:
        """Returns when `stop` was called."""
        await self._stopping.wait()

    async def wait_idle(self) -> None:
        """Returns when no request is open."""
        await self._idle.wait()
