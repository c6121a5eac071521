"""What a person chose for a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CLIENTS: Final = (1, 4, 16, 64)
SATURATED: Final = 16
"""Clients that keep every core busy, and whose rate counts as what the server can do."""
ROUNDS: Final = 5
"""Fewer than these say too little to be published."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one run; the same for all of its measurements."""

    repository: Path
    """A model repository with raw detectors."""
    images: tuple[Path, ...]
    """JPEG files."""
    rounds: int = ROUNDS
    seconds: float = 3.0
    """Of one figure."""
    clients: tuple[int, ...] = CLIENTS
    variants: tuple[str, ...] = ()
    """Endings of the names of the raw models to measure, like `openvino`; empty for all."""
    deadline_ms: float = 500.0
    """Of requests under overload."""
    requests: int = 10_000
    """After which memory is looked at."""
