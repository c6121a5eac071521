"""Messages between two processes of one server, as frames of bytes. Pure.

A frame is the length of its body (uint32), its kind (uint8) and the body: the numbers of the message in the order of
its fields, then each of its texts with its length (uint32) before it. Everything is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, cast, get_type_hints

_HEADER = struct.Struct("<IB")
_LENGTH = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
"""What comes before a frame's body."""
MOST_BYTES = 2**30
"""Of one frame's body."""

_M = TypeVar("_M")


class BrokenLink(Exception):
    """The bytes are no messages: the other side is of another make, or has gone mad."""


class Vocabulary(Generic[_M]):
    """The kinds of messages that two processes know."""

    def __init__(self, kinds: Sequence[tuple[Any, str]]) -> None:
        """Takes the kinds in the order of their numbers.

        Args:
            kinds: Of each its type, a NamedTuple, and the format of its numbers, which are its first fields.
        """
        self._kinds = tuple((kind, struct.Struct(f"<{numbers}")) for kind, numbers in kinds)
        self._number_of = {kind: number for number, (kind, _) in enumerate(self._kinds)}
        self._counts = tuple(len(numbers.unpack(bytes(numbers.size))) for _, numbers in self._kinds)
        self._binary = tuple(
            frozenset(index for index, name in enumerate(kind._fields) if get_type_hints(kind)[name] is bytes)
            for kind, _ in self._kinds
        )

    def encode(self, message: _M) -> bytes:
        """The frame of a message.

        Raises:
            ValueError: A field is beyond what its place holds.
        """
        number = self._number_of[type(message)]
        fields = cast("tuple[Any, ...]", message)
        count = self._counts[number]
        try:
            parts = [b"", self._kinds[number][1].pack(*fields[:count])]
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

    def decode(self, number: int, body: bytes) -> _M:
        """The message of a frame.

        Raises:
            BrokenLink: There is no such kind, or the body is none of it.
        """
        if number >= len(self._kinds):
            raise BrokenLink(f"expected a kind of message below {len(self._kinds)}, got {number}")
        kind, numbers = self._kinds[number]
        try:
            fields: list[Any] = list(numbers.unpack_from(body))
            start = numbers.size
            for index in range(self._counts[number], len(kind._fields)):
                (length,) = _LENGTH.unpack_from(body, start)
                start += _LENGTH.size
                text = body[start : start + length]
                if len(text) != length:
                    raise BrokenLink(f"{kind.__name__}: {kind._fields[index]} is cut short")
                fields.append(text if index in self._binary[number] else text.decode())
                start += length
        except (struct.error, UnicodeDecodeError) as error:
            raise BrokenLink(f"{kind.__name__}: {error}") from error
        if start != len(body):
            raise BrokenLink(f"{kind.__name__}: {len(body) - start} bytes are left over")
        message: _M = kind(*fields)
        return message


class FrameReader(Generic[_M]):
    """Finds the frames in bytes that come in pieces of any size."""

    def __init__(self, vocabulary: Vocabulary[_M]) -> None:
        self._vocabulary = vocabulary
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[_M]:
        """The messages that are complete with these bytes; take them all before the next piece.

        Raises:
            BrokenLink: The bytes are no frames.
        """
        data = self._rest + data if self._rest else data
        self._rest = b""
        start = 0
        while start + _HEADER.size <= len(data):
            length, number = frame_header(data[start : start + _HEADER.size])
            body = start + _HEADER.size
            if body + length > len(data):
                break
            yield self._vocabulary.decode(number, data[body : body + length])
            start = body + length
        self._rest = data[start:]


def frame_header(header: bytes) -> tuple[int, int]:
    """Bytes of the body of a frame, and the number of its kind, from its first `HEADER_BYTES`.

    Raises:
        BrokenLink: No frame is so long.
    """
    length, number = _HEADER.unpack(header)
    if length > MOST_BYTES:
        raise BrokenLink(f"expected a frame of at most {MOST_BYTES} bytes, got {length}")
    return length, number
