"""Work on many elements, on all cores, in order, with bounded memory; Ctrl-C ends it at once."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

CHUNK = 256
_AHEAD = 4
"""Chunks that may be under way or waiting to be taken, for each process."""

_shared: Any = None


def map_chunks(
    work: Callable[[S, Sequence[T]], R],
    shared: S,
    elements: Iterable[T],
    *,
    processes: int,
    chunk: int = CHUNK,
) -> Iterator[R]:
    """Applies `work` to chunks of elements and yields the results in the elements' order.

    Elements are taken only a few chunks ahead of the results, so neither need fit into memory together. With one
    process, or when one chunk holds everything, the work is done here. Processes are spawned: a script that calls
    this needs the usual `if __name__ == "__main__"` guard.

    Args:
        work: A function of a module; called with `shared` and a chunk. What it raises is raised here.
        shared: Sent to every process once; must be picklable.
        elements: What to work on; must be picklable.
        processes: How many to use at the most.
        chunk: Elements in one call.
    """
    chunks = _chunks(elements, chunk)
    first = list(islice(chunks, 2))
    if processes == 1 or len(first) < 2:
        for one in first:
            yield work(shared, one)
        for one in chunks:
            yield work(shared, one)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_start_process, initargs=(shared,))
    pending: deque[Future[R]] = deque()
    try:
        with interrupts_held():
            pending.extend(pool.submit(_call, work, one) for one in first)
            pending.extend(pool.submit(_call, work, one) for one in islice(chunks, processes * _AHEAD - len(first)))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(_call, work, one) for one in islice(chunks, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds Ctrl-C back while processes are spawned, and so in them until they ignore it.

    It reaches every process of the terminal; one that still imports would answer it with a traceback.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def ignore_interrupts() -> None:
    """For the start of a process of a pool: leaves Ctrl-C to the parent, which ends the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _start_process(shared: Any) -> None:
    ignore_interrupts()
    global _shared  # noqa: PLW0603 - this process belongs to the pool, and its work to this value
    _shared = shared


def _call(work: Callable[[Any, Sequence[T]], R], chunk: Sequence[T]) -> R:
    return work(_shared, chunk)


def _chunks(elements: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(elements)
    while taken := list(islice(iterator, size)):
        yield taken
