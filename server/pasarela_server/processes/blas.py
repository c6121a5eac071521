"""OpenBLAS, told to start no threads.

NumPy and OpenCV each bring one, and each starts a thread for every core but one when it is imported, which takes time
and stacks. Nothing in a server multiplies matrices outside the frameworks, and those have threads of their own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, MutableMapping

_VARIABLE = "OPENBLAS_NUM_THREADS"
_DECIDED_BY = (_VARIABLE, "GOTO_NUM_THREADS", "OMP_NUM_THREADS")


@contextlib.contextmanager
def without_blas_threads(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Import NumPy for the first time within it. What is imported later decides for itself: PyTorch may use OpenBLAS.

    Args:
        environment: Whoever runs the server may have decided: then that holds.
    """
    if any(name in environment for name in _DECIDED_BY):
        yield
        return
    environment[_VARIABLE] = "1"
    try:
        yield
    finally:
        environment.pop(_VARIABLE, None)
