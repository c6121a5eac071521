"""Which parts of a front's shared memory are taken. Pure."""

from __future__ import annotations

import bisect

_PAGE = 4096


class Slots:
    """Hands out ranges of a number line that never overlap, the lowest that fits first. Not thread-safe."""

    def __init__(self, size: int) -> None:
        """Begins with everything free.

        Args:
            size: Length of the line, a multiple of 4096.
        """
        if size % _PAGE or size <= 0:
            raise ValueError(f"expected a size that is a multiple of {_PAGE}, got {size}")
        self.size = size
        self._free: list[tuple[int, int]] = [(0, size)]
        """Start and end of each free range, sorted; no two touch."""
        self._taken: dict[int, int] = {}
        """End of each taken range by its start."""

    def take(self, size: int) -> int | None:
        """The start of a range of at least that size, a multiple of 4096; None if there is no room now."""
        wanted = -(-max(size, 1) // _PAGE) * _PAGE
        for index, (start, end) in enumerate(self._free):
            if end - start >= wanted:
                if end - start == wanted:
                    del self._free[index]
                else:
                    self._free[index] = (start + wanted, end)
                self._taken[start] = start + wanted
                return start
        return None

    def give_back(self, start: int) -> None:
        """Frees a range.

        Raises:
            ValueError: None that is taken starts there.
        """
        end = self._taken.pop(start, None)
        if end is None:
            raise ValueError(f"no range that is taken starts at {start}")
        index = bisect.bisect(self._free, (start, end))
        if index < len(self._free) and self._free[index][0] == end:
            end = self._free.pop(index)[1]
        if index and self._free[index - 1][1] == start:
            start = self._free.pop(index - 1)[0]
            index -= 1
        self._free.insert(index, (start, end))

    @property
    def taken(self) -> int:
        """How many ranges are taken."""
        return len(self._taken)
