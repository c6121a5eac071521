"""What protects a port for clients: TLS and tokens, from files that are followed while the server runs."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from pasarela_server.config.server import ServerConfig
from pasarela_server.repository.poll import Poller
from pasarela_server.rpc.gate import Gate
from pasarela_server.rpc.limits import Limited
from pasarela_server.rpc.refusals import Refusals
from pasarela_server.rpc.restrictions import Restrictions
from pasarela_server.rpc.tls import server_credentials
from pasarela_server.security.certificates import KEY_FLAG, CertificateFiles, Certificates, load_certificates
from pasarela_server.security.files import warn_if_open
from pasarela_server.security.settings import SecuritySettings
from pasarela_server.security.tokens import TOKENS_FLAG, Tokens, load_tokens
from pasarela_server.security.watched import Watched

_LOOK_EVERY_S = 1.0
"""How often the files are looked at. What has changed must look the same twice: half a file is not taken."""

_SOON = timedelta(days=14)

_log = logging.getLogger("pasarela_server.security")


class Protection:
    """Of one process that clients reach. Without settings it changes nothing: neither handlers nor connections."""

    def __init__(self, settings: SecuritySettings, *, quiet: bool = False) -> None:
        """Reads all files.

        Args:
            settings: What is asked for.
            quiet: Another process of the same server, that reads the same files, tells of them.

        Raises:
            UnusableFile: One cannot be used.
        """
        self.settings = settings
        self._certificates: Watched[Certificates] | None = None
        self._tokens: Watched[Tokens] | None = None
        level = logging.DEBUG if quiet else logging.INFO
        if settings.certificates is not None:
            files = settings.certificates
            load = functools.partial(load_certificates, files)
            self._certificates = Watched("the server's certificates", files.paths, load, level=level)
            if not quiet:
                warn_if_open(KEY_FLAG, files.key)
                _warn_if_expiring(self._certificates.current.expires)
        if settings.tokens is not None:
            path = settings.tokens
            self._tokens = Watched(
                "the tokens", (path,), functools.partial(load_tokens, path, quiet=quiet), level=level
            )
            if not quiet:
                warn_if_open(TOKENS_FLAG, path)
        self._poller = Poller(self.look, _LOOK_EVERY_S, "certificates and tokens")

    def credentials(self) -> grpc.ServerCredentials | None:
        """For the port; None speaks plain text."""
        certificates = self._certificates
        return None if certificates is None else server_credentials(lambda: certificates.current)

    def before(self, handlers: Sequence[grpc.GenericRpcHandler]) -> tuple[grpc.GenericRpcHandler, ...]:
        """Handlers as clients are to reach them."""
        settings, tokens, refusals = self.settings, self._tokens, Refusals()
        if settings.max_client_calls or settings.max_client_streams:
            handlers = (Limited(handlers, settings.max_client_calls, settings.max_client_streams, refusals),)
        if settings.restricted:
            handlers = (Restrictions(handlers, settings.restricted, refusals),)
        if tokens is not None:
            handlers = (Gate(handlers, lambda: tokens.current, refusals),)
        return tuple(handlers)

    def expires_s(self) -> float:
        """When the certificate that is in force expires, in Unix time; infinite without TLS."""
        return math.inf if self._certificates is None else self._certificates.current.expires.timestamp()

    def describe(self) -> str:
        """For people: what a client needs; empty if it needs nothing."""
        certificates = self.settings.certificates
        parts = []
        if certificates is not None:
            parts.append("TLS" if certificates.roots is None else "mutual TLS")
        if self.settings.tokens is not None:
            parts.append("tokens")
        if self.settings.restricted:
            parts.append("restricted protocols")
        return " and ".join(parts)

    def client_flags(self) -> str:
        """What the command `pasarela` takes beside the address, a space before it; a person names the files."""
        certificates = self.settings.certificates
        flags = ""
        if certificates is not None:
            flags += " --tls-ca <authority>"
            flags += " --tls-cert <certificate> --tls-key <key>" if certificates.roots is not None else ""
        return flags + (" --token-file <token>" if self.settings.tokens is not None else "")

    def look(self) -> None:
        """Takes files that have changed."""
        watched: tuple[Watched[Any] | None, ...] = (self._certificates, self._tokens)
        for each in watched:
            if each is not None:
                each.look()

    def follow(self) -> None:
        """Looks again and again, on a thread of its own, until `close`."""
        if self._certificates is not None or self._tokens is not None:
            self._poller.start()

    def close(self) -> None:
        """Follows no more."""
        self._poller.stop(0.0)


def protect(config: ServerConfig) -> Protection:
    """What the settings of a server ask for; settings that have no effect are logged.

    Raises:
        UnusableFile: A file cannot be used.
    """
    mutual = config.grpc_use_ssl_mutual
    certificates = None
    if config.grpc_use_ssl or mutual:
        assert config.grpc_server_cert is not None
        assert config.grpc_server_key is not None
        roots = config.grpc_root_cert if mutual else None
        certificates = CertificateFiles(config.grpc_server_cert, config.grpc_server_key, roots)
    elif config.grpc_server_cert or config.grpc_server_key:
        _log.warning("certificates are given, and gRPC speaks plain text: --grpc-use-ssl would use them")
    if config.grpc_root_cert and not mutual:
        _log.warning("--grpc-root-cert is not used: --grpc-use-ssl-mutual would ask clients for a certificate")
    if (config.auth_tokens_file or config.grpc_restricted_protocol) and certificates is None:
        _log.warning("tokens travel in plain text, for anybody on the way to read; --grpc-use-ssl hides them")
    return Protection(
        SecuritySettings(
            certificates,
            config.auth_tokens_file,
            {name: (each.key, each.value) for each in config.grpc_restricted_protocol for name in each.protocols},
            config.max_requests_per_client,
            config.max_streams_per_client,
        )
    )


def _warn_if_expiring(expires: datetime) -> None:
    left = expires - datetime.now(UTC)
    if left < _SOON:
        _log.warning("the server's certificate expires in %d hours, at %s", left.total_seconds() // 3600, expires)
