"""What a front is told when it is started: one JSON text on its command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


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
    log_verbose: int

    def to_text(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> FrontSettings:
        """From the command line.

        Raises:
            ValueError: The text is none that `to_text` has made.
        """
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"these are no settings of a front: {error}") from error
