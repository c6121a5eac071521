"""What a front and the back tell each other: a few kinds of messages, framed as `processes.framing` says. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pasarela_server.processes.framing import FrameReader, Vocabulary


class Ready(NamedTuple):
    """A front listens."""

    port: int


class CannotListen(NamedTuple):
    """A front cannot have the port, and ends."""

    reason: str


class Idle(NamedTuple):
    """A front that was told to stop has no request of its own open any more."""


class Lookup(NamedTuple):
    """A request whose model the front does not know: what must it know to detect with it?"""

    sequence: int
    started_ns: int
    model: str
    version: str
    request_id: str
    caller: str
    """See `asked.Asked`."""


class Submit(NamedTuple):
    """An image that lies in the arena, ready for the network."""

    sequence: int
    facts: int
    """Number of the facts by which the image was prepared."""
    offset: int
    capacity: int
    """Bytes at the offset that the answer may use."""
    rows: int
    priority: int
    started_ns: int
    deadline_s: float
    """On the clock of `time.monotonic`; infinite if the client waits for ever."""
    model: str
    version: str
    request_id: str
    caller: str
    layout: str
    """Type and shape of the array; see `memory.describe`."""


class Cancel(NamedTuple):
    """Nobody waits for the answer to a Submit any more; it is answered nevertheless."""

    sequence: int


class Done(NamedTuple):
    """The client of a Submit that was answered has its reply, or `error` says why it has none."""

    sequence: int
    error: str
    """Class of the error; empty if there is none."""
    timings: bytes
    """See `timings.pack`."""
    found: bytes
    """See `found.pack`."""


class Refused(NamedTuple):
    """A request that failed before it was submitted. Answered by a Failure that comes before it, or by Noted."""

    sequence: int
    started_ns: int
    at_the_door: int
    """1 if it failed before its raw model was looked at."""
    model: str
    version: str
    request_id: str
    caller: str
    error: str
    """Class of the error."""


class Streams(NamedTuple):
    """Clients have opened streams at a front, or with a negative number ended them."""

    difference: int
    method: str


class LogChanged(NamedTuple):
    """What is to be logged from now on."""

    text: str
    """See `observability.logging.LogSettings`."""


class Stop(NamedTuple):
    """The server takes no more requests: the front finishes those that it has."""


class Quit(NamedTuple):
    """The front ends."""

    grace_s: float
    """How long replies that are on their way may take to leave."""


class Known(NamedTuple):
    """Answers a Lookup; or a Submit whose image was prepared by facts that hold no more."""

    sequence: int
    text: str
    """See `facts.Facts`."""


class Answer(NamedTuple):
    """The network's output for a Submit, where its image lay."""

    sequence: int
    layout: str
    timings: bytes
    output: bytes
    """The output itself, if it is larger than its place; else empty."""


class Failure(NamedTuple):
    """A Lookup, Submit or Refused has failed."""

    sequence: int
    error: str
    """Class of the error."""
    message: str


class Noted(NamedTuple):
    """A Refused has been counted, and the front's reason is the right one."""

    sequence: int


Message = (
    Ready
    | CannotListen
    | Idle
    | Lookup
    | Submit
    | Cancel
    | Done
    | Refused
    | Stop
    | Quit
    | Known
    | Answer
    | Failure
    | Noted
    | Streams
    | LogChanged
)

# Of each kind, in the order of their numbers: the type, and the format of its numbers.
_KINDS: tuple[tuple[type[Message], str], ...] = (
    (Ready, "I"),
    (CannotListen, ""),
    (Idle, ""),
    (Lookup, "IQ"),
    (Submit, "IIQQIIQd"),
    (Cancel, "I"),
    (Done, "I"),
    (Refused, "IQB"),
    (Stop, ""),
    (Quit, "d"),
    (Known, "I"),
    (Answer, "I"),
    (Failure, "I"),
    (Noted, "I"),
    (Streams, "i"),
    (LogChanged, ""),
)
_VOCABULARY: Vocabulary[Message] = Vocabulary(_KINDS)


def encode(message: Message) -> bytes:
    """The frame of a message; raises ValueError if a field is beyond what its place holds."""
    return _VOCABULARY.encode(message)


def decode(number: int, body: bytes) -> Message:
    """The message of a frame; raises BrokenLink if there is no such kind, or the body is none of it."""
    return _VOCABULARY.decode(number, body)


class Frames(FrameReader[Message]):
    """Finds the frames of a front or the back in bytes that come in pieces of any size."""

    def __init__(self) -> None:
        super().__init__(_VOCABULARY)
