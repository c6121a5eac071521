"""What the process of a model is told when it is started: one JSON text in its environment."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pasarela_server.backends.base import BackendOptions

VARIABLE = "PASARELA_MODEL_PROCESS"
"""Holds the text."""


@dataclass(frozen=True, slots=True)
class LaneFds:
    """What a session shares with the server, inherited."""

    link: int
    memory: int


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """Settings of one model's process."""

    model: str
    loader: str
    """Module and class of the `BackendLoader`, like `package.module:Class`; built without arguments."""
    artefact: Path
    options: BackendOptions
    parent: int
    """The server's process."""
    control_fd: int
    """Inherited: where the process says that the model is loaded, and hears that it is to end."""
    lanes: tuple[LaneFds, ...]
    """One for each session."""
    log: str = ""
    """What it logs until it is told otherwise: a text of `observability.logging.LogSettings`; empty for defaults."""

    def to_text(self) -> str:
        """For the environment of the process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_text(cls, text: str) -> ProcessSettings:
        """From the environment.

        Raises:
            ValueError: The text is none that `to_text` has made.
        """
        try:
            said = json.loads(text)
            read = {
                "artefact": Path(said["artefact"]),
                "options": _options(said["options"]),
                "lanes": tuple(LaneFds(**lane) for lane in said["lanes"]),
            }
            return cls(**said | read)
        except (TypeError, KeyError) as error:
            raise ValueError(f"these are no settings of a model's process: {error}") from error


def _options(said: dict[str, Any]) -> BackendOptions:
    folder = said["cache_folder"]
    read: dict[str, Any] = {
        "input_names": tuple(said["input_names"]),
        "output_names": tuple(said["output_names"]),
        "cache_folder": None if folder is None else Path(folder),
    }
    return BackendOptions(**said | read)
