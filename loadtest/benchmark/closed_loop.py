"""Runs a piece of work again and again in this process, and counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


def rate(work: Sequence[Callable[[], None]], seconds: float) -> float:
    """Runs each callable in a loop on a thread of its own, all at the same time.

    Args:
        work: One callable for each thread; each call counts as one image.
        seconds: How long to measure, after one unmeasured call of each.

    Returns:
        Calls per second of all threads together, counted over a window that begins and ends in full swing. A window
        in which no call ended is made longer.
    """
    counts = [0] * len(work)
    errors: list[BaseException] = []
    start = threading.Barrier(len(work) + 1)
    stop = threading.Event()

    def loop(index: int, step: Callable[[], None]) -> None:
        try:
            step()
            start.wait()
            step()
            while not stop.is_set():
                step()
                counts[index] += 1
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            errors.append(error)
            start.abort()
            stop.set()

    threads = [threading.Thread(target=loop, args=pair, daemon=True) for pair in enumerate(work)]
    for thread in threads:
        thread.start()
    measured = 0.0
    try:
        start.wait()
        begun, before = time.perf_counter(), sum(counts)
        stop.wait(seconds)
        while sum(counts) == before and not stop.is_set():
            stop.wait(seconds)
        measured = (sum(counts) - before) / (time.perf_counter() - begun)
    except threading.BrokenBarrierError:
        pass  # the thread that broke it has left its error
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return measured


def latencies_ms(step: Callable[[], None], seconds: float) -> list[float]:
    """Runs one callable again and again; milliseconds of each call, after one that is not counted."""
    step()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end or not taken:
        step()
        taken.append((time.perf_counter() - begun) * 1e3)
    return taken
