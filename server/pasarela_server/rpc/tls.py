"""TLS as gRPC takes it: every new connection is met with the certificates that are in force then."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from pasarela_server.security.certificates import Certificates


def server_credentials(current: Callable[[], Certificates]) -> grpc.ServerCredentials:
    """Credentials for a port. With roots, clients without a certificate of theirs are turned away.

    Args:
        current: The certificates in force; called from gRPC's own threads, at each new connection. Whether there are
            roots must stay the same.
    """
    given = current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        latest = current()
        if latest is given:
            return None  # nothing new: no need to parse it again
        given = latest
        return _configuration(latest)

    # None stands for no change, which the type leaves out.
    return grpc.dynamic_ssl_server_credentials(_configuration(given), fetch, given.roots is not None)  # type: ignore[arg-type]


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificates.key, certificates.certificate)], certificates.roots)
