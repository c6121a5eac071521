"""What a front is told when it is started: one JSON text in its environment, which other users cannot read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pasarela_server.security.certificates import CertificateFiles
from pasarela_server.security.settings import UNSECURED, SecuritySettings

VARIABLE = "PASARELA_FRONT"
"""Holds the text."""


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """Settings of one front."""

    index: int
    link_fd: int
    """Inherited: the front's end of its link."""
    arena_fd: int
    """Inherited: the memory that it shares with the back."""
    back: str
    """Where the back's gRPC server listens, as gRPC names it."""
    address: str
    port: int
    max_message_bytes: int
    queue_full_status: str
    image_threads: int
    log: str
    """What is logged: see `observability.logging.LogSettings`."""
    set_up_s: float
    """How long it may take until it listens: then it ends, whether or not anybody is there to end it."""
    traced: bool = False
    """Whether requests may be traced: then the back is told who calls."""
    security: SecuritySettings = UNSECURED

    def to_text(self) -> str:
        """For the environment of its process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_text(cls, text: str) -> FrontSettings:
        """From the environment.

        Raises:
            ValueError: The text is none that `to_text` has made.
        """
        try:
            said = json.loads(text)
            return cls(**said | {"security": _security(said["security"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"these are no settings of a front: {error}") from error


def _security(said: Mapping[str, Any]) -> SecuritySettings:
    files = said["certificates"]
    certificates = None if files is None else CertificateFiles(**{name: _path(text) for name, text in files.items()})
    read = {
        "certificates": certificates,
        "tokens": _path(said["tokens"]),
        "restricted": {protocol: tuple(needed) for protocol, needed in said["restricted"].items()},
    }
    return SecuritySettings(**{**said, **read})


def _path(text: str | None) -> Any:
    return None if text is None else Path(text)
