"""What secures the port for clients, as it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pasarela_server.security.certificates import CertificateFiles


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Files by which a port is secured. Without any, whoever reaches it may call everything, in the clear."""

    certificates: CertificateFiles | None = None
    """TLS; None speaks plain text."""
    tokens: Path | None = None
    """Bearer tokens; None asks for none."""


UNSECURED = SecuritySettings()
"""Whoever reaches the port may call everything, in the clear."""
