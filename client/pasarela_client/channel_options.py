"""How gRPC is told to treat connections. Pure."""

from __future__ import annotations

from typing import Any, Final

from pasarela_client.connection import Connection

_FIRST_RECONNECT_MS: Final = 200
_LONGEST_RECONNECT_MS: Final = 2000
_PING_TIMEOUT_MS: Final = 10_000
_LONGEST_MS: Final = 2**31 - 1


def channel_options(connection: Connection) -> tuple[tuple[str, Any], ...]:
    """The options of a channel; messages of any size pass, the server sets the limit."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
        # By this name gRPC knows the longest time that one attempt to connect may take.
        ("grpc.min_reconnect_backoff_ms", max(1, _milliseconds(connection.connect_timeout_s))),
        # Retries are the client's own: gRPC's would not know when a queue is full.
        ("grpc.enable_retries", 0),
    ]
    if connection.keepalive_s is not None:
        options += [
            ("grpc.keepalive_time_ms", _milliseconds(connection.keepalive_s)),
            ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
            # What counts in practice: gRPC keeps to this one, a minute by default, even where it is the longer.
            ("grpc.http2.ping_timeout_ms", _PING_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    tls = connection.tls_files
    if tls is not None and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return tuple(options)


def _milliseconds(seconds: float) -> int:
    """As gRPC takes them: no more than it can hold."""
    return round(min(seconds * 1000, _LONGEST_MS))
