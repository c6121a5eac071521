"""What a front and the back tell each other: a few kinds of messages, in frames of bytes. Pure.

A frame is the length of its body (uint32), its kind (uint8) and the body: the numbers of the message in the order of
its fields, then each of its texts with its length (uint32) before it. Everything is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, get_type_hints

_HEADER = struct.Struct("<IB")
_LENGTH = struct.Struct("<I")
MOST_BYTES = 2**30
"""Of one frame's body."""


class BrokenLink(Exception):
    """The bytes are no messages: the other side is of another make, or has gone mad."""


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
_KINDS: tuple[tuple[Any, struct.Struct], ...] = tuple(
    (kind, struct.Struct(f"<{numbers}"))
    for kind, numbers in (
        (Ready, "I"),
        (CannotListen, ""),
        (Idle, ""),
        (Lookup, "IQ"),
        (Submit, "IIQQIiQd"),
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
)
_NUMBER_OF = {kind: number for number, (kind, _) in enumerate(_KINDS)}
_COUNTS = tuple(len(numbers.unpack(bytes(numbers.size))) for _, numbers in _KINDS)
_BINARY = tuple(
    frozenset(index for index, name in enumerate(kind._fields) if get_type_hints(kind)[name] is bytes)
    for kind, _ in _KINDS
)


def encode(message: Message) -> bytes:
    """The frame of a message.

    Raises:
        ValueError: A field is beyond what its place holds.
    """
    number = _NUMBER_OF[type(message)]
    fields: tuple[Any, ...] = message
    count = _COUNTS[number]
    try:
        parts = [b"", _KINDS[number][1].pack(*fields[:count])]
        for field in fields[count:]:
            text = field.encode() if isinstance(field, str) else field
            parts += (_LENGTH.pack(len(text)), text)
    except struct.error as error:
        raise ValueError(f"{type(message).__name__}: {error}") from error
    size = sum(map(len, parts))
    if size > MOST_BYTES:
        raise ValueError(f"{type(message).__name__}: {size} bytes are more than a frame may have, {MOST_BYTES}")
    parts[0] = _HEADER.pack(size, number)
    return b"".join(parts)


def decode(number: int, body: bytes) -> Message:
    """The message of a frame.

    Raises:
        BrokenLink: There is no such kind, or the body is none of it.
    """
    if number >= len(_KINDS):
        raise BrokenLink(f"expected a kind of message below {len(_KINDS)}, got {number}")
    kind, numbers = _KINDS[number]
    try:
        fields: list[Any] = list(numbers.unpack_from(body))
        start = numbers.size
        for index in range(_COUNTS[number], len(kind._fields)):
            (length,) = _LENGTH.unpack_from(body, start)
            start += _LENGTH.size
            text = body[start : start + length]
            if len(text) != length:
                raise BrokenLink(f"{kind.__name__}: {kind._fields[index]} is cut short")
            fields.append(text if index in _BINARY[number] else text.decode())
            start += length
    except (struct.error, UnicodeDecodeError) as error:
        raise BrokenLink(f"{kind.__name__}: {error}") from error
    if start != len(body):
        raise BrokenLink(f"{kind.__name__}: {len(body) - start} bytes are left over")
    message: Message = kind(*fields)
    return message


class Frames:
    """Finds the frames in bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with these bytes; take them all before the next piece.

        Raises:
            BrokenLink: The bytes are no frames.
        """
        data = self._rest + data if self._rest else data
        self._rest = b""
        start = 0
        while start + _HEADER.size <= len(data):
            length, number = _HEADER.unpack_from(data, start)
            if length > MOST_BYTES:
                raise BrokenLink(f"expected a frame of at most {MOST_BYTES} bytes, got {length}")
            body = start + _HEADER.size
            if body + length > len(data):
                break
            yield decode(number, data[body : body + length])
            start = body + length
        self._rest = data[start:]
