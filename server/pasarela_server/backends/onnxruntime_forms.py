"""Which forms of batches keep their memory on a device: the most recently used ones. Nothing here knows a framework."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

FormKey = tuple[tuple[str, tuple[int, ...]], ...]
"""Each input's type, as NumPy writes it, and its whole shape, in the model's order."""


class Held(Protocol):
    """What is kept for a form."""

    @property
    def byte_size(self) -> int:
        """Bytes on the device; may grow while it is kept."""
        ...


F = TypeVar("F", bound=Held)


class Forms(Generic[F]):
    """What is kept, bounded by number and by bytes. One that is larger than all may be is kept alone."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Keeps nothing yet.

        Args:
            most: Forms, at least one.
            most_bytes: Bytes of all of them.
        """
        self._most = most
        self._most_bytes = most_bytes
        self._held: OrderedDict[FormKey, F] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, key: FormKey) -> F | None:
        """What is kept for a form, which then is the most recently used one."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def make_room(self, byte_size: int) -> None:
        """Lets go of the least recently used ones until one more of that many bytes may come."""
        while self._held and not self.have_room(byte_size):
            self._held.popitem(last=False)

    def have_room(self, byte_size: int) -> bool:
        """Whether one more of that many bytes may come while all others stay."""
        together = sum(held.byte_size for held in self._held.values()) + byte_size
        return len(self._held) < self._most and together <= self._most_bytes

    def keep(self, key: FormKey, held: F) -> None:
        """Keeps one more; the caller has made room."""
        self._held[key] = held

    def forget(self, key: FormKey) -> None:
        """Lets go of one, if it is kept."""
        self._held.pop(key, None)

    def clear(self) -> None:
        """Lets go of all."""
        self._held.clear()
