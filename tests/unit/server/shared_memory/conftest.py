"""Real POSIX shared memory, as clients make it."""

from multiprocessing import shared_memory
from pathlib import Path

import pytest


@pytest.fixture
def make_object():
    """`make_object(size)` makes an object that is gone after the test; `.name`, `.buf`."""
    made = []

    def make(size):
        made.append(shared_memory.SharedMemory(create=True, size=size))
        return made[-1]

    yield make
    for item in made:
        item.close()
        item.unlink()


@pytest.fixture
def open_files():
    """`open_files()` counts this process's open descriptors."""
    return lambda: len(list(Path("/dev/fd").iterdir()))
