"""Where servers are: the forms in which people write addresses. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pasarela_client.errors import InvalidRequest

DEFAULT_URL: Final = "127.0.0.1:8001"


@dataclass(frozen=True, slots=True)
class Address:
    """One server."""

    target: str
    """`host:port` or `unix:PATH`, as gRPC takes it."""
    secure: bool = False
    """Whether it was written as `grpcs://`."""

    @property
    def local(self) -> bool:
        """Whether what is sent there does not leave this machine."""
        if self.target.startswith("unix:"):
            return True
        host = self.target.rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def parse_address(url: str) -> Address:
    """One address: `host:port`, `unix:PATH`, and either after `grpc://`, or after `grpcs://` for TLS.

    Raises:
        InvalidRequest: The address has no port, or is of another protocol.
    """
    written = url.strip()
    secure = written.startswith("grpcs://")
    target = written.removeprefix("grpcs://" if secure else "grpc://").rstrip("/")
    if target.startswith("unix:"):
        return Address(target, secure)
    host, _, port = target.rpartition(":")
    if "/" in target or not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise InvalidRequest(f"a server's address looks like {DEFAULT_URL}, not {url!r}")
    return Address(target, secure)


def parse_addresses(urls: str | Sequence[str]) -> tuple[Address, ...]:
    """All servers of a list, or of a text with commas between them, each once.

    Raises:
        InvalidRequest: There is none, or one of them is no address.
    """
    written = urls.split(",") if isinstance(urls, str) else list(urls)
    if not written:
        raise InvalidRequest(f"no server was named; an address looks like {DEFAULT_URL}")
    return tuple(dict.fromkeys(map(parse_address, written)))
