"""What the server and the process of a model tell each other. Pure.

Tensors lie in memory that both share: messages say where.
"""

from __future__ import annotations

import functools
import json
from typing import NamedTuple

from pasarela_server.processes.framing import BrokenLink, Vocabulary


class Infer(NamedTuple):
    """The session runs once."""

    wide: int
    """1 for `infer_wide`."""
    size: int
    """Bytes of the memory that hold the inputs, from its beginning."""
    inputs: str
    """See `write_places`."""


class Answer(NamedTuple):
    """The outputs are there."""

    size: int
    """Bytes that the memory has now."""
    outputs: str
    """See `write_places`."""


class Failed(NamedTuple):
    """An inference, or loading the model, has failed."""

    error: str
    """Class of the serving error."""
    message: str


class Loaded(NamedTuple):
    """The model is loaded, and its sessions wait."""

    text: str
    """See `spec_text`."""


class Begin(NamedTuple):
    """The process opens the artefact now; until then it has only prepared itself."""

    warm: str
    """A list, in JSON, of inputs as `write_places` writes them: sessions run them on zeros before they are offered."""
    log: str
    """See `LogChanged`: the process may have been started long ago."""


class LogChanged(NamedTuple):
    """The process logs something else from now on."""

    settings: str
    """See `ProcessSettings.log`."""


class Close(NamedTuple):
    """The process frees the model, and ends."""


Message = Infer | Answer | Failed | Loaded | Begin | Close | LogChanged

VOCABULARY: Vocabulary[Message] = Vocabulary(
    (
        (Infer, "BQ"),
        (Answer, "Q"),
        (Failed, ""),
        (Loaded, ""),
        (Begin, ""),
        (Close, ""),
        (LogChanged, ""),
    )
)

Place = tuple[str, int, str]
"""A tensor's name, where it begins in the memory, and its layout as `memory.describe` writes it."""


def write_places(places: list[Place]) -> str:
    """Where tensors lie, as a text."""
    return json.dumps(places)


@functools.lru_cache(maxsize=64)
def read_places(text: str) -> tuple[Place, ...]:
    """What `write_places` wrote.

    Raises:
        BrokenLink: It wrote no such text.
    """
    try:
        places = tuple((name, offset, layout) for name, offset, layout in json.loads(text))
    except (ValueError, TypeError) as error:
        raise BrokenLink("these are no places of tensors") from error
    if not all(
        isinstance(name, str) and isinstance(offset, int) and isinstance(layout, str) for name, offset, layout in places
    ):
        raise BrokenLink("these are no places of tensors")
    return places
