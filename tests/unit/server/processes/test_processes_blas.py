"""NumPy and OpenCV start no threads in a server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pasarela_server.processes.blas import without_blas_threads

_IMPORTED = """
import os
from pasarela_server.processes.blas import without_blas_threads
with without_blas_threads():
    import cv2, numpy
print(len(os.listdir("/proc/self/task")), os.environ.get("OPENBLAS_NUM_THREADS"))
"""


def test_imported_within_they_have_no_threads_and_the_variable_is_gone() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["1", "None"]


@pytest.mark.parametrize("name", ["OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"])
def test_whoever_runs_the_server_decides(name: str) -> None:
    environment = {name: "4"}
    with without_blas_threads(environment):
        assert environment == {name: "4"}
    assert environment == {name: "4"}


def test_it_is_undone_when_the_import_fails() -> None:
    environment: dict[str, str] = {}
    with pytest.raises(ImportError), without_blas_threads(environment):
        raise ImportError
    assert environment == {}
