"""What secures the port for clients, as it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pasarela_server.security.certificates import CertificateFiles


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Files and limits by which a port is secured. Without any, whoever reaches it may do anything, in the clear."""

    certificates: CertificateFiles | None = None
    """TLS; None speaks plain text."""
    tokens: Path | None = None
    """Bearer tokens; None asks for none."""
    restricted: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    """Key and value that Triton's restricted protocols need, by protocol."""
    max_client_calls: int = 0
    """That one client may have open, streams among them; 0: any number."""
    max_client_streams: int = 0


UNSECURED = SecuritySettings()
"""Without certificates, tokens and limits."""
