"""What secures the port for clients, as it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pasarela_server.security.certificates import CertificateFiles


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Files and limits by which a port is secured. Without any, whoever reaches it may do anything, in the clear."""

    certificates: CertificateFiles | None = None
    """TLS; None speaks plain text."""
    tokens: Path | None = None
    """Bearer tokens; None asks for none."""
    max_client_calls: int = 0
    """That one client may have open, streams among them; 0: any number."""
    max_client_streams: int = 0


UNSECURED = SecuritySettings()
"""Without certificates, tokens and limits."""
