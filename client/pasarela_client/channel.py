"""The connection to a server."""

from __future__ import annotations

from typing import Final

import grpc

from pasarela_client.errors import InvalidRequest

DEFAULT_URL: Final = "127.0.0.1:8001"

OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def parse_url(url: str) -> str:
    """The address as gRPC takes it: `host:port`, or `unix:PATH`; a leading `grpc://` is dropped.

    Raises:
        InvalidRequest: The address has no port, or is of another protocol.
    """
    target = url.removeprefix("grpc://").rstrip("/")
    if target.startswith("unix:"):
        return target
    host, _, port = target.rpartition(":")
    if "//" in target or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidRequest(f"a server's address looks like {DEFAULT_URL}, not {url!r}")
    return target


def open_channel(url: str, *, own_connection: bool = False) -> grpc.Channel:
    """A channel to the server; it connects when it is first used, and again when the connection broke.

    Images compress badly, so nothing is compressed; messages of any size pass, the server sets the limit.

    Args:
        url: `host:port` of the server.
        own_connection: Whether to keep from sharing a connection with the other channels of this process to the same
            server, which gRPC would do.

    Raises:
        InvalidRequest: The address is none.
    """
    own = (("grpc.use_local_subchannel_pool", 1),) if own_connection else ()
    return grpc.insecure_channel(parse_url(url), options=OPTIONS + own)
