"""The link as it runs: messages over a socket, many in one write, sent from any thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from pasarela_server.frontends.link import Frames, Message, encode
from pasarela_server.processes.framing import BrokenLink

_log = logging.getLogger("pasarela_server.frontends")


class Channel(asyncio.Protocol):
    """One end of a link. Built on the event loop; `post` may be called from any thread."""

    def __init__(self, received: Callable[[Message], None], lost: Callable[[], None]) -> None:
        """Builds the end; `connect` gives it a socket.

        Args:
            received: Called with each message, on the event loop.
            lost: Called once, on the event loop, when the other side has gone or has sent what is no message.
        """
        self._received = received
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        self._frames = Frames()
        self._lock = threading.Lock()
        self._outgoing: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    async def connect(self, end: socket.socket) -> None:
        """Takes over a connected socket.

        Raises:
            BrokenLink: The end could not be set up, the log says why. Event loops differ in whether they tell.
        """
        end.setblocking(False)
        transport, _ = await self._loop.create_unix_connection(lambda: self, sock=end)
        if self._transport is None:
            transport.abort()
            raise BrokenLink("this end of the link could not be set up; see the log")

    def post(self, message: Message) -> None:
        """Sends a message soon; messages arrive in the order in which they were posted. Lost if the link is."""
        frame = encode(message)
        with self._lock:
            first = not self._outgoing
            self._outgoing.append(frame)
        if not first:
            return
        if threading.get_ident() == self._home:
            self._loop.call_soon(self._flush)
            return
        try:
            self._loop.call_soon_threadsafe(self._flush)
        except RuntimeError:
            _log.debug("a message came after the event loop had ended")

    def close(self) -> None:
        """Sends what was posted, then closes; `lost` is called."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        with self._lock:
            frames, self._outgoing = self._outgoing, []
        if frames and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # those of uvloop are, and inherit nothing

    @override
    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._received(message)
        except BrokenLink as error:
            _log.error("a link between the server's processes is broken: %s", error)
            assert self._transport is not None
            self._transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
