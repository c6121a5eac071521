"""Runs a piece of work again and again in this process, and counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


def rate(work: Sequence[Callable[[], None]], seconds: float) -> float:
    """Runs each callable in a loop on a thread of its own, all at the same time.

    Args:
        work: One callable for each thread; each call counts as one image.
        seconds: How long to measure, after one unmeasured call of each; longer until each has ended two more.

    Returns:
        Calls per second of all threads together; see `rate_of`.
    """
    ended: list[list[float]] = [[] for _ in work]
    errors: list[BaseException] = []
    start = threading.Barrier(len(work) + 1)
    stop = threading.Event()

    def loop(step: Callable[[], None], times: list[float]) -> None:
        try:
            step()
            start.wait()
            while not stop.is_set():
                step()
                times.append(time.perf_counter())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            errors.append(error)
            start.abort()
            stop.set()

    threads = [threading.Thread(target=loop, args=pair, daemon=True) for pair in zip(work, ended, strict=True)]
    for thread in threads:
        thread.start()
    measured: list[list[float]] = []
    try:
        start.wait()
        stop.wait(seconds)
        while any(len(times) < 2 for times in ended) and not stop.is_set():
            stop.wait(seconds)
        measured = [list(times) for times in ended]  # what ends later ran beside fewer others
    except threading.BrokenBarrierError:
        pass  # the thread that broke it has left its error
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return rate_of(measured)


def rate_of(ended: Sequence[Sequence[float]]) -> float:
    """Calls per second of all threads together, by when the calls of each of them ended. Pure.

    Each thread's clock runs from the end of its first call to that of its last: neither the part of a call that a
    window would cut off at its beginning nor the one at its end is lost.

    Args:
        ended: For each thread, in seconds, two at least, rising.
    """
    return sum((len(times) - 1) / (times[-1] - times[0]) for times in ended)


def latencies_ms(step: Callable[[], None], seconds: float) -> list[float]:
    """Runs one callable again and again; milliseconds of each call, after one that is not counted."""
    step()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end or not taken:
        step()
        taken.append((time.perf_counter() - begun) * 1e3)
    return taken
