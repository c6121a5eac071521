"""Runs a few long jobs next to each other, on threads that hold no process back when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


def run_side_by_side(jobs: Sequence[Callable[[], None]], name: str) -> None:
    """Runs all jobs and returns when the last has ended; a single one runs on the calling thread.

    Args:
        jobs: What to run. They handle their own errors: what escapes one is raised here when all have ended.
        name: What the threads are called.
    """
    if len(jobs) == 1:
        jobs[0]()
        return
    escaped: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised again on the thread that waits
            escaped.append(error)

    threads = [threading.Thread(target=run, args=(job,), name=name, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if escaped:
        raise escaped[0]
