"""The C library's allocator, told to keep what it holds together.

glibc gives threads arenas of their own, eight for each core, and what is left in one keeps its pages. Each model that
is loaded comes with threads, so a server that is given new versions all day grows by some 20 kB with each; with few
arenas it does not (mallopt(3), M_ARENA_MAX).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

_M_ARENA_MAX = -8
_FEWEST = 2
_DECIDED_BY = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


def arenas() -> int:
    """How many are kept: one for each core that this process may use, so that threads seldom wait for each other."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(_FEWEST, cores)


def keep_few_arenas(environment: Mapping[str, str] = os.environ) -> bool:
    """Limits the arenas of this process; call it before there are threads.

    Args:
        environment: Whoever runs the server may have decided: then that holds.

    Returns:
        Whether they are limited now; other C libraries than glibc have none.
    """
    if any(name in environment for name in _DECIDED_BY):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    return bool(mallopt(_M_ARENA_MAX, arenas()))
