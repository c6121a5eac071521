"""The way to the server under test: a connection of its own for each client, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from pasarela_client.addresses import parse_address
from pasarela_client.channel_options import channel_options
from pasarela_client.connection import Connection, Tls
from pasarela_client.credentials import TokenSource, read_credentials

# Channels of one process to one server would otherwise share a connection, which real clients do not.
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


@dataclass(frozen=True, slots=True)
class Access:
    """Where the server is, and how it is reached. May be told to another process."""

    url: str
    """host:port, after `grpcs://` for TLS."""
    ca: str = ""
    """Certificates in PEM format that may sign for the server; empty: none given."""
    token_file: str = ""
    """A file that holds the token; empty: none is sent."""

    def open(self) -> Way:
        """A connection of one's own, made when it is first used.

        Raises:
            InvalidRequest: The address is none, or a file cannot be read.
        """
        connection = Connection(
            tls=Tls(ca=self.ca) if self.ca else False,
            token=Path(self.token_file) if self.token_file else None,
            allow_insecure_token=True,
        )
        address = parse_address(self.url)
        credentials = read_credentials(connection, address)
        options = (*channel_options(connection), *_OWN_CONNECTION)
        if credentials is None:
            channel = grpc.insecure_channel(address.target, options=options)
        else:
            channel = grpc.secure_channel(address.target, credentials, options=options)
        return Way(channel, None if connection.token is None else TokenSource(connection.token))

    def to_message(self) -> dict[str, Any]:
        """For another process."""
        return {"url": self.url, "ca": self.ca, "token_file": self.token_file}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """What `to_message` gave."""
        return cls(**message)


@dataclass(frozen=True, slots=True)
class Way:
    """One connection, and what every call on it carries."""

    channel: grpc.Channel
    token: TokenSource | None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The headers of a call that begins now."""
        return () if self.token is None else (("authorization", f"Bearer {self.token.current()}"),)
