"""How to reach a server: encryption, who asks, what is tried again. Settings; nothing here reads files or connects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self, TypeAlias

from pasarela_client.errors import InvalidRequest
from pasarela_client.retry import Retry

Token: TypeAlias = str | Path | Callable[[], str]
"""The token itself; a `Path` to a file that holds it, read again when it changes; or what gives it for each call."""

SHORTEST_KEEPALIVE_S: Final = 10.0
"""Servers close connections that are pinged more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Encryption, with files in PEM format."""

    ca: str | Path | None = None
    """Certificates of those who may sign for the server; None takes the well-known ones that gRPC brings along."""
    certificate: str | Path | None = None
    """Who we are, with the certificates between ours and the one that the server trusts; for servers that ask."""
    key: str | Path | None = None
    """The private key of `certificate`, not encrypted."""
    server_name: str = ""
    """The name that the server's certificate holds, if that is not the host of its address."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            there, missing = ("key", "certificate") if self.certificate is None else ("certificate", "key")
            raise InvalidRequest(f"a TLS {there} needs its {missing}: Tls(certificate=..., key=...)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Settings of the way to a server. They may be shared by detectors, and hold no open file or socket."""

    tls: bool | str | Path | Tls = False
    """True encrypts and trusts well-known signers; a path is that of the certificates to trust instead."""
    token: Token | None = field(default=None, repr=False)
    """Sent as `authorization: Bearer ...` with each call."""
    allow_insecure_token: bool = False
    """Whether the token may be sent where others can read it: to another machine, without TLS."""
    keepalive_s: float | None = 15.0
    """How often an idle connection is pinged, so that one that died silently is noticed; None never pings."""
    connect_timeout_s: float = 5.0
    """Longest wait for a connection, TLS included, before the server counts as unreachable."""
    retry: Retry = field(default_factory=Retry)
    """When calls are tried again."""
    compress_arrays: bool = False
    """Whether pixels (arrays and Pillow images) are compressed by gzip: for slow networks. Files never are."""

    def __post_init__(self) -> None:
        if self.keepalive_s is not None and not self.keepalive_s >= SHORTEST_KEEPALIVE_S:
            raise InvalidRequest(
                f"keepalive_s is at least {SHORTEST_KEEPALIVE_S:g} (servers hang up on whom they hear more often), or "
                f"None, not {self.keepalive_s:g}"
            )
        if not self.connect_timeout_s > 0:
            raise InvalidRequest(f"connect_timeout_s is a time above 0, not {self.connect_timeout_s:g}")

    @property
    def tls_files(self) -> Tls | None:
        """The settings of TLS; None if there is none."""
        if isinstance(self.tls, bool):
            return Tls() if self.tls else None
        return self.tls if isinstance(self.tls, Tls) else Tls(ca=self.tls)

    def having(
        self,
        *,
        tls: bool | str | Path | Tls | None = None,
        token: Token | None = None,
        retries: int | None = None,
    ) -> Self:
        """These settings with others in their place where they are given."""
        changed = self if tls is None else replace(self, tls=tls)
        changed = changed if token is None else replace(changed, token=token)
        return changed if retries is None else replace(changed, retry=replace(self.retry, retries=retries))
