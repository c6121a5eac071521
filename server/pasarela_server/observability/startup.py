"""What a person reads when the server has started: what is served, where, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_DEFAULT_MODEL = "garments"
_DEFAULT_URL = "127.0.0.1:8001"
"""What the client asks if it is told nothing."""


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One row of the table."""

    model: str
    version: str
    state: str
    description: str
    """Framework, device and precision of a ready model; the reason of any other."""


@dataclass(frozen=True, slots=True)
class StartupReport:
    """Everything that the lines are made of."""

    models: Sequence[ModelLine]
    grpc: str
    """Address and port."""
    metrics: str | None
    """Address and port; None if metrics are off."""
    try_command: str
    """What to type next."""
    protection: str = ""
    """What gRPC asks of clients; empty if anybody may call."""

    def text(self) -> str:
        """The report, ending with a newline."""
        where = f"gRPC on {self.grpc}" + (f" ({self.protection})" if self.protection else "")
        if self.metrics is not None:
            where += f", metrics on http://{self.metrics}/metrics"
        lines = [*_table(self.models), "", where] if self.models else ["no models", "", where]
        lines.append(f"Try: {self.try_command}")
        return "".join(f"{line}\n" for line in lines)


def next_command(client: str, image: str, detectors: Sequence[str], address: str, port: int) -> str:
    """What to type to see the server work: a detection, if there is a detector.

    Args:
        client: The command `pasarela` as it can be typed.
        image: A picture to try.
        detectors: Names of the detection models that are ready.
        address: Where the server listens.
        port: Where the server listens.
    """
    command = f"{client} models"
    if _DEFAULT_MODEL in detectors:
        command = f"{client} detect {image}"
    elif detectors:
        command = f"{client} detect {image} --model {detectors[0]}"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, address)  # noqa: S104 - compared, not bound
    url = f"{host}:{port}"
    return command if url == _DEFAULT_URL else f"{command} --url {url}"


def _table(models: Sequence[ModelLine]) -> list[str]:
    rows = [("model", "version", "state", "backend")]
    rows += [(line.model, line.version, line.state, " ".join(line.description.split())) for line in models]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
