"""The server's certificate and key, and the authorities whose clients it takes: read and checked before they are used.

What OpenSSL says of them is found by letting a client that trusts the certificate shake hands with a server that has
it, in memory.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pasarela_server.security.files import UnusableFile, read_file

CERTIFICATE_FLAG = "--grpc-server-cert"
KEY_FLAG = "--grpc-server-key"
ROOTS_FLAG = "--grpc-root-cert"

_BEGIN, _END = b"-----BEGIN ", b"-----END "
_ROUNDS = 10
"""Of a handshake in memory: more than any version of TLS takes."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where they are, all in PEM."""

    certificate: Path
    """The server's, followed by those between it and its authority."""
    key: Path
    roots: Path | None = None
    """Authorities whose clients are taken: every client then needs a certificate. None takes clients without one."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return (self.certificate, self.key) if self.roots is None else (self.certificate, self.key, self.roots)


@dataclass(frozen=True, slots=True)
class Certificates:
    """What was in the files, and fits together."""

    certificate: bytes
    key: bytes
    roots: bytes | None
    expires: datetime
    """When the server's certificate does."""


def load_certificates(files: CertificateFiles) -> Certificates:
    """Reads and checks all files.

    Raises:
        UnusableFile: One is missing, no PEM, cut short, encrypted, out of its time, or the key is of another
            certificate; or they were written to meanwhile.
    """
    certificate = _read_pem(CERTIFICATE_FLAG, files.certificate, b"CERTIFICATE")
    key = _read_pem(KEY_FLAG, files.key, b"PRIVATE KEY")
    roots = None
    if files.roots is not None:
        roots = _read_pem(ROOTS_FLAG, files.roots, b"CERTIFICATE")
        _check_roots(files.roots, roots)
    expires = _check_pair(files)
    if certificate != read_file(CERTIFICATE_FLAG, files.certificate) or key != read_file(KEY_FLAG, files.key):
        raise UnusableFile(CERTIFICATE_FLAG, files.certificate, "it, or its key, was written to while it was read")
    return Certificates(certificate, key, roots, expires)


def _read_pem(flag: str, path: Path, kind: bytes) -> bytes:
    content = read_file(flag, path)
    if content.count(_BEGIN) == 0 or kind not in content:
        raise UnusableFile(flag, path, f"it holds no {kind.decode()} in PEM: no block -----BEGIN {kind.decode()}-----")
    if content.count(_BEGIN) != content.count(_END):
        raise UnusableFile(flag, path, "it is cut short: a block has no end")
    return content


def _check_pair(files: CertificateFiles) -> datetime:
    """Shakes hands by means of certificate and key; when the certificate expires."""
    encrypted = UnusableFile(KEY_FLAG, files.key, "it is encrypted, and nobody is there to type a pass phrase")

    def no_pass_phrase() -> str:
        raise encrypted

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        client.load_verify_locations(files.certificate)
    except (ssl.SSLError, OSError) as error:
        raise UnusableFile(CERTIFICATE_FLAG, files.certificate, f"OpenSSL cannot read it ({_reason(error)})") from error
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(files.certificate, files.key, no_pass_phrase)
    except ssl.SSLError as error:
        if error.reason in {"KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED", "KEY_TYPE_MISMATCH"}:
            why = f"it is not the key of the certificate in {files.certificate} ({CERTIFICATE_FLAG})"
        else:
            why = f"OpenSSL takes it not as a key of {files.certificate} ({_reason(error)})"
        raise UnusableFile(KEY_FLAG, files.key, why) from error
    except OSError as error:
        raise UnusableFile(KEY_FLAG, files.key, _reason(error)) from error
    try:
        shown = _shake_hands(client, server)
    except ssl.SSLError as error:
        raise UnusableFile(CERTIFICATE_FLAG, files.certificate, f"no client would take it: {_reason(error)}") from error
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, Any]:
    """What the client learns of the server's certificate."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    calling = client.wrap_bio(to_client, to_server)
    called = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_ROUNDS):
        for end in (calling, called):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return calling.getpeercert() or {}


def _check_roots(path: Path, content: bytes) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=content.decode())
    except (ssl.SSLError, ValueError) as error:
        raise UnusableFile(ROOTS_FLAG, path, f"OpenSSL cannot read it ({_reason(error)})") from error
    authorities = context.get_ca_certs()
    if not authorities:
        raise UnusableFile(ROOTS_FLAG, path, "none of its certificates is that of an authority")
    now_s = datetime.now(UTC).timestamp()
    if all(ssl.cert_time_to_seconds(str(each["notAfter"])) < now_s for each in authorities):
        raise UnusableFile(ROOTS_FLAG, path, "every authority in it has expired")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not well-formed").replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or error)
