"""How many arenas the C library keeps, by its own account (malloc_info(3))."""

import subprocess
import sys
from pathlib import Path

import pytest

from pasarela_server.processes.allocator import arenas, keep_few_arenas

PROGRAM = """
import ctypes, sys, threading
from pasarela_server.processes.allocator import arenas, keep_few_arenas

if sys.argv[1] == "few":
    assert keep_few_arenas({})
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
count = 4 * arenas()
all_there = threading.Barrier(count)

def allocate():
    all_there.wait()
    libc.malloc(ctypes.c_size_t(5000))
    all_there.wait()

threads = [threading.Thread(target=allocate) for _ in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
assert libc.malloc_info(0, file) == 0
libc.fclose(file)
"""


def kept(mode: str, told: Path) -> int:
    subprocess.run([sys.executable, "-c", PROGRAM, mode, str(told)], check=True)
    return told.read_text().count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
def test_threads_share_few_arenas(tmp_path: Path) -> None:
    assert kept("few", tmp_path / "few") <= arenas() < kept("as usual", tmp_path / "usual")


@pytest.mark.parametrize(
    "variable",
    [
        "MALLOC_ARENA_MAX",  # reason: glibc reads it itself
        "GLIBC_TUNABLES",  # reason: the same in newer words
    ],
)
def test_whoever_runs_the_server_decides(variable: str) -> None:
    assert not keep_few_arenas({variable: "glibc.malloc.arena_max=7"})
