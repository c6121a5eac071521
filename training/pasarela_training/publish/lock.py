"""One publisher at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".publish.lock"


@contextmanager
def publishing(repository: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keeps other publishers out of a repository; waits, and says so, while one is at work.

    The lock belongs to the process and ends with it, however it ends.

    Args:
        repository: The model repository; must exist.
        say: Receives a line if there is somebody to wait for.
    """
    with (repository / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"publish: another publication into {repository} is under way; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
