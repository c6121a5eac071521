"""The two messages of the standard health protocol (`grpc.health.v1`), so small that no package is needed for them."""

from __future__ import annotations

from typing import Final

CHECK: Final = "/grpc.health.v1.Health/Check"
"""The method that is asked."""

_SERVING: Final = b"\x08\x01"


def encode_check(service: str) -> bytes:
    """The question whether a service serves; on this server a model is one, and '' is the whole server."""
    name = service.encode()
    length, prefix = len(name), bytearray(b"\x0a")
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + name if name else b""


def is_serving(answer: bytes) -> bool:
    """Whether the answer says SERVING."""
    return answer == _SERVING
