"""Protobuf's wire format, as far as large fields need it: taken out of a message, or put into one, without a copy."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 256
"""Fields of one message that are looked at: each costs time on the event loop, and no sensible message has more."""
_TAG_BYTES = _LENGTH_BYTES = 5
_VALUE_BYTES = 10
_MAX_TAG = 2**32 - 1

Contents = bytes | memoryview


def split_off(serialized: bytes, number: int) -> tuple[bytes, list[memoryview]] | None:
    """Takes a repeated `bytes` field out of a message, wherever its values stand.

    Parsing the rest gives what parsing the whole would give, but without that field.

    Args:
        serialized: The message. It is trusted in nothing.
        number: The field's.

    Returns:
        The rest of the message, and views of the field's values in their order. None for a message that is unusual in
        any way, and for one that is broken: it is then for protobuf to judge.
    """
    wanted = number << 3 | _LENGTH_DELIMITED
    view, end = memoryview(serialized), len(serialized)
    rest: list[memoryview] = []
    values: list[memoryview] = []
    position = kept_from = 0
    try:
        for _ in range(_MOST_FIELDS):
            if position == end:
                rest.append(view[kept_from:])
                return b"".join(rest), values
            field_at = position
            tag, position = _varint(serialized, position, _TAG_BYTES)
            if not 8 <= tag <= _MAX_TAG:
                return None
            after = _after_value(serialized, position, tag & 7)
            if tag == wanted:
                length, value_at = _varint(serialized, position, _LENGTH_BYTES)
                values.append(view[value_at : value_at + length])
                rest.append(view[kept_from:field_at])
                kept_from = after
            if after > end:
                return None
            position = after
    except (IndexError, _Unusual):
        return None
    return None


def fields(number: int, values: Iterable[Contents]) -> Iterator[Contents]:
    """The pieces of a repeated `bytes` field, to be joined."""
    tag = _tag(number)
    for value in values:
        yield tag + encode_varint(len(value))
        yield value


def encode_varint(value: int) -> bytes:
    """A number that is not negative, seven bits to a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


@functools.cache
def _tag(number: int) -> bytes:
    return encode_varint(number << 3 | _LENGTH_DELIMITED)


class _Unusual(Exception):
    """Something that no encoder writes."""


def _varint(serialized: bytes, position: int, most_bytes: int) -> tuple[int, int]:
    """A number, and where it ends; IndexError where the message ends before it does."""
    byte = serialized[position]
    if byte < 0x80:
        return byte, position + 1
    value = 0
    for shift in range(0, 7 * most_bytes, 7):
        byte = serialized[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Unusual


def _after_value(serialized: bytes, position: int, kind: int) -> int:
    if kind == _LENGTH_DELIMITED:
        length, position = _varint(serialized, position, _LENGTH_BYTES)
        return position + length
    if kind == _VARINT:
        return _varint(serialized, position, _VALUE_BYTES)[1]
    if kind == _FIXED32:
        return position + 4
    if kind == _FIXED64:
        return position + 8
    raise _Unusual
