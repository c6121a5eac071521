"""Signals reach a process whose OpenVINO models come and go in any order.

Each `ov.Core` gives the thread that first uses it a stack for signals, and takes it back when it goes: the second of
two that went before the first would leave the thread with memory that is no longer there.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[4] / "model_repository"
SCRIPT = """
import gc, signal, sys
from pathlib import Path
from pasarela_server.backends import BackendOptions, load_backend

told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
options = BackendOptions(instances=1, threads=1)
backends = [load_backend("openvino", Path(artefact), options) for artefact in sys.argv[2:]]
for position in map(int, sys.argv[1].split(",")):
    backends[position].close()
    backends[position] = None
    gc.collect()
    signal.raise_signal(signal.SIGTERM)
print(len(told))
"""


@pytest.mark.parametrize("order", [",".join(map(str, order)) for order in itertools.permutations(range(2))])
def test_a_signal_is_handled_after_each_model_that_goes(order: str) -> None:
    artefacts = [str(SHIPPED / model / "1/model.xml") for model in ("garments_openvino", "garments_int8")]
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, order, *artefacts], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "2"), ended.stderr
