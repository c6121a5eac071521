"""Messages over a blocking socket."""

from __future__ import annotations

import socket

from pasarela_server.backends.isolation.messages import VOCABULARY, Message
from pasarela_server.processes.framing import HEADER_BYTES, frame_header


def send(link: socket.socket, message: Message) -> None:
    """Sends a message; raises OSError if nobody takes it."""
    link.sendall(VOCABULARY.encode(message))


def send_at_once(link: socket.socket, message: Message) -> bool:
    """Sends a small message without waiting for room; whether there was room. Raises OSError if nobody takes it.

    A stream between processes of one machine takes so small a message whole or not at all.
    """
    try:
        link.send(VOCABULARY.encode(message), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


def receive(link: socket.socket) -> Message | None:
    """The next message; None if the other side has gone.

    Raises:
        TimeoutError: The socket has a time limit, and nothing came in it.
        BrokenLink: What came is no message.
    """
    try:
        header = _read(link, HEADER_BYTES)
        if header is None:
            return None
        length, number = frame_header(header)
        body = _read(link, length)
    except ConnectionError:
        return None
    return None if body is None else VOCABULARY.decode(number, body)


def _read(link: socket.socket, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = link.recv(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
