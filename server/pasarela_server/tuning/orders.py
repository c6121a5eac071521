"""What passes between the tuner and the process in which a candidate is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pasarela_server.tuning.candidate import Candidate
from pasarela_server.tuning.subject import Subject


@dataclass(frozen=True, slots=True)
class Job:
    """Which model to load, how, and what to send to it."""

    repository: Path
    model: str
    """A raw model."""
    version: int
    cpu_threads: int
    config_text: str = ""
    """Its config.pbtxt as it was when the tuning began: whoever edits it meanwhile changes nothing that is measured."""
    images: Path | None = None
    """Folder of images to send to a detector; None generates some."""
    tensors: bool = False
    """Whether to send tensors to a detector, too."""


@dataclass(frozen=True, slots=True)
class Load:
    """First order: load the model with a candidate's settings. Answered by Loaded or Failed."""

    job: Job
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Measure:
    """Any further order, answered by a Slice or Failed. None instead of an order ends the process."""

    clients: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model answers."""

    subject: Subject
    seconds: float
    """That loading took."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It does not; and why."""

    reason: str
    backend_missing: bool = False
