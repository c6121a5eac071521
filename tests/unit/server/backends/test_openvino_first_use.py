"""OpenVINO's first use on several threads at once does not stop the process."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
from pasarela_server.backends.openvino import _import_openvino

together = threading.Barrier(4)

def use():
    together.wait()
    _import_openvino().Type.f32.to_dtype()

threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_begin_together_do_not_wait_for_each_other():
    # Of four threads that call `to_dtype` first and together, without what the import does, nine runs in twelve hung.
    for _ in range(3):
        subprocess.run([sys.executable, "-c", FIRST_USE], check=True, timeout=30)
