"""Arrays in memory that two processes share, and the text that describes one."""

from __future__ import annotations

import functools
import math
import mmap
from typing import Any

import numpy as np

from pasarela_server.processes.framing import BrokenLink
from pasarela_server.tensor import Array


def describe(array: Array) -> str:
    """Type and shape of an array, like `<f4:1,3,640,640`."""
    return f"{array.dtype.str}:{','.join(map(str, array.shape))}"


@functools.lru_cache(maxsize=256)
def parse_layout(layout: str) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    """Type, shape and bytes of the array that `describe` described.

    Raises:
        BrokenLink: The text describes none.
    """
    name, _, sizes = layout.partition(":")
    try:
        dtype = np.dtype(name)
        shape = tuple(int(size) for size in sizes.split(",")) if sizes else ()
    except (TypeError, ValueError) as error:
        raise BrokenLink(f"{layout!r} describes no array") from error
    if dtype.hasobject or any(size < 0 for size in shape):
        raise BrokenLink(f"{layout!r} describes no array of plain numbers")
    return dtype, shape, math.prod(shape) * dtype.itemsize


class SharedMemory:
    """A mapping of one file's memory. It is freed when the last array over it is."""

    def __init__(self, fd: int, size: int) -> None:
        """Maps a file; the descriptor may be closed afterwards.

        Args:
            fd: An open file of at least `size` bytes.
            size: In bytes.
        """
        self.size = size
        self._bytes = np.frombuffer(mmap.mmap(fd, size), np.uint8)

    def view(self, offset: int, layout: str) -> Array:
        """An array over the memory, without a copy.

        Raises:
            BrokenLink: It would reach beyond the memory.
        """
        dtype, shape, _ = parse_layout(layout)
        return self.place(offset, dtype, shape)

    def place(self, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        """The same, of a type and shape.

        Raises:
            BrokenLink: It would reach beyond the memory.
        """
        size = math.prod(shape) * dtype.itemsize
        if offset < 0 or offset + size > self.size:
            raise BrokenLink(
                f"{dtype.str} of shape {shape} at {offset} reaches beyond the {self.size} bytes of shared memory"
            )
        return self._bytes[offset : offset + size].view(dtype).reshape(shape)

    def write(self, offset: int, array: Array) -> None:
        """Copies an array into the memory."""
        np.copyto(self.view(offset, describe(array)), array)
