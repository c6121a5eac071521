"""Progress bars on standard error, all of one kind."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(elements: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
    """Passes elements on and shows how far they have come; nothing is shown where no person looks."""
    return tqdm(elements, desc=label, total=total, leave=False, disable=None, file=sys.stderr)


@contextlib.contextmanager
def counting_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that counts itself: yields a function of (done, total)."""
    with tqdm(desc=label, leave=False, disable=None, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
