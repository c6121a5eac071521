"""Certificates, keys and tokens, read from where they lie and checked before anything is sent."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc

from pasarela_client.addresses import Address
from pasarela_client.connection import Connection, Tls, Token
from pasarela_client.errors import InvalidRequest

_TOKEN: Final = re.compile(r"[!-~]+")
"""What may stand in a header, without spaces."""


def read_credentials(connection: Connection, address: Address) -> grpc.ChannelCredentials | None:
    """What a connection to this address is encrypted with; None if it is not.

    Raises:
        InvalidRequest: A file cannot be read or is not what it should be, or the token would be readable on its way.
    """
    tls = connection.tls_files or (Tls() if address.secure else None)
    if tls is not None:
        return _read_tls(tls)
    if connection.token is not None and not (address.local or connection.allow_insecure_token):
        raise InvalidRequest(
            f"without TLS everybody between here and {address.target} could read the token: use TLS, "
            "or allow it (allow_insecure_token)"
        )
    return None


def _read_tls(tls: Tls) -> grpc.ChannelCredentials:
    checked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca = certificate = key = None
    if tls.ca is not None:
        ca = _read(tls.ca, "TLS certificates to trust")
        _check(
            lambda: checked.load_verify_locations(cafile=str(tls.ca)), f"{tls.ca} holds no certificates in PEM format"
        )
        if not checked.cert_store_stats()["x509"]:
            raise InvalidRequest(f"{tls.ca} holds no certificates in PEM format")
    if tls.certificate is not None and tls.key is not None:
        certificate, key = _read(tls.certificate, "TLS certificate"), _read(tls.key, "TLS key")
        files = (str(tls.certificate), str(tls.key))
        _check(
            # Without a password to give, a key that needs one is an error and no question on the terminal.
            lambda: checked.load_cert_chain(*files, password=lambda: ""),
            f"{tls.certificate} and {tls.key} are not a certificate and its unencrypted private key in PEM format",
        )
    return grpc.ssl_channel_credentials(ca, key, certificate)


def _check(load: Callable[[], object], message: str) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError, OSError) as error:
        reason = getattr(error, "reason", None)
        raise InvalidRequest(f"{message}{f' ({reason})' if reason else ''}") from error


def _read(path: str | Path, role: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"cannot read the {role} {path}: {getattr(error, 'strerror', None) or error}") from error


class TokenSource:
    """The token that is good now. Threads may share it."""

    def __init__(self, token: Token) -> None:
        """Reads it once, unless it comes from a function.

        Raises:
            InvalidRequest: The file cannot be read, or holds no token.
        """
        self._token = token
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._last = ""
        self.may_block = callable(token)
        """Whether `current` calls a function of the user's."""
        if isinstance(token, Path):
            self._seen, self._last = _mark(token), _checked_token(_read(token, "token").decode("latin-1").strip())
        elif isinstance(token, str):
            self._last = _checked_token(token)

    def current(self) -> str:
        """The token.

        A file is read again when it changed; while it is away or empty, what it held before holds.

        Raises:
            InvalidRequest: The function gave no token.
        """
        if isinstance(self._token, Path):
            with self._lock:
                self._read_again(self._token)
        elif callable(self._token):
            return _checked_token(self._token())
        return self._last

    def _read_again(self, path: Path) -> None:
        try:
            mark = _mark(path)
            if mark != self._seen:
                self._last = _checked_token(_read(path, "token").decode("latin-1").strip())
                self._seen = mark
        except (OSError, InvalidRequest):
            return


def _mark(path: Path) -> tuple[int, int, int]:
    """What differs when a file was written anew."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InvalidRequest(f"cannot read the token {path}: {error.strerror or error}") from error
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _checked_token(token: str) -> str:
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise InvalidRequest("a token is a text of visible ASCII characters without spaces")
    return token
