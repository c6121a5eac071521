"""Runs a piece of work again and again on some threads for some time, and counts."""

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
        Images per second of all threads together.
    """
    counts = [0] * len(work)
    errors: list[BaseException] = []
    start = threading.Barrier(len(work) + 1)
    stop = threading.Event()

    def loop(index: int, step: Callable[[], None]) -> None:
        try:
            step()
            start.wait()
            while not stop.is_set():
                step()
                counts[index] += 1
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=loop, args=pair, daemon=True) for pair in enumerate(work)]
    for thread in threads:
        thread.start()
    try:
        start.wait()
        begun = time.perf_counter()
        stop.wait(seconds)
    except threading.BrokenBarrierError:
        begun = time.perf_counter()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.perf_counter() - begun)
