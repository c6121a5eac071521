"""Bytes as a row of choices: what a fuzzer changes in them changes what is built, and nothing is ever invalid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Takes choices from bytes until they are used up; then every choice is the first one."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    @property
    def left(self) -> int:
        """Bytes that are not used yet."""
        return len(self._content) - self._position

    def number(self, low: int, high: int) -> int:
        """A number from low to high, both included."""
        span = high - low + 1
        taken = int.from_bytes(self.content((span.bit_length() + 7) // 8), "little")
        return low + taken % span

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.number(0, len(options) - 1)]

    def chance(self, one_in: int) -> bool:
        """True once in so many times."""
        return self.number(0, one_in - 1) == one_in - 1

    def content(self, size: int) -> bytes:
        """The next bytes; fewer if there are no more."""
        taken = self._content[self._position : self._position + size]
        self._position += len(taken)
        return taken

    def text(self, longest: int) -> str:
        """A text that protobuf takes, of any characters."""
        return self.content(self.number(0, longest)).decode("utf-8", "replace")

    def rest(self) -> bytes:
        """All that is left."""
        return self.content(self.left)
