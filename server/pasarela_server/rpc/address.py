"""Where a server listens: address and port as text, and what is said when they cannot be had."""

from __future__ import annotations

import socket


def authority(address: str, port: int) -> str:
    """Address and port in one text, brackets around IPv6."""
    return f"[{address.strip('[]')}]:{port}" if ":" in address else f"{address}:{port}"


class PortUnavailable(Exception):
    """An address and port cannot be listened on; the message says which, why, and what to do."""

    def __init__(self, address: str, port: int, flag: str, reason: OSError | None = None) -> None:
        why = "" if reason is None else f": {reason.strerror or reason}"
        super().__init__(f"cannot listen on {authority(address, port)}{why}; choose another port with {flag}")


def try_port(address: str, port: int) -> None:
    """Binds and frees a port: the operating system says what is wrong, where gRPC only says that it failed.

    Raises:
        OSError: It cannot be had.
    """
    family, kind, protocol, _, target = socket.getaddrinfo(address.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(target)


def require_port(address: str, port: int, flag: str) -> None:
    """Finds out before any work is done whether a port can be had; what comes in between is found when it is taken.

    Args:
        address: The interface, without port.
        port: 0 is any free one.
        flag: Names the port for people.

    Raises:
        PortUnavailable: It cannot be had now.
    """
    try:
        try_port(address, port)
    except OSError as error:
        raise PortUnavailable(address, port, flag, error) from error


def hold_port(address: str, port: int) -> socket.socket:
    """Takes a port for processes that share it, without listening on it.

    Args:
        address: The interface, without port.
        port: 0 takes any free one; the socket's name tells which.

    Returns:
        A socket to keep open as long as the port is used.

    Raises:
        PortUnavailable: It cannot be had, or another server has it.
    """
    try:
        try_port(address, port)
        family, kind, protocol, _, target = socket.getaddrinfo(address.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        holder = socket.socket(family, kind, protocol)
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(target)
        except OSError:
            holder.close()
            raise
    except OSError as error:
        raise PortUnavailable(address, port, "--grpc-port", error) from error
    return holder
