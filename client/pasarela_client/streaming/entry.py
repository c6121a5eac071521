"""One frame of a stream, from the moment it is pulled until its result is handed out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from pasarela_client.frame import Frame
from pasarela_client.streaming.results import FrameResult

BREAKS_ALLOWED: Final = 3
"""A frame that was under way when so many calls broke is not sent again: it may be what breaks the server."""


class State(Enum):
    """Where a frame is."""

    WAITING = auto()
    """To be sent, for the first time or again."""
    UNDER_WAY = auto()
    """Sent, without an answer."""
    SETTLED = auto()
    """Its result is known and waits for its turn."""


@dataclass(slots=True)
class Entry:
    """A frame and what happened to it."""

    index: int
    frame: Frame
    pulled_s: float
    state: State = State.WAITING
    sends: int = 0
    sent_s: float = 0.0
    """The last time."""
    breaks: int = 0
    """Calls that broke while it was under way."""
    refused_since_s: float | None = None
    """When the server would not take it for the first time."""
    result: FrameResult | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether the next break would be its last: it then travels alone, so that no other frame shares it."""
        return self.breaks == BREAKS_ALLOWED - 1


@dataclass(frozen=True, slots=True)
class Sending:
    """A frame that is to be sent now."""

    index: int
    frame: Frame
    remaining_s: float | None
    """How much of its deadline is left."""
    call: int
    """The call that it is to be sent on."""
