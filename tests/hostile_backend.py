"""A backend that does to its process what broken frameworks and broken models do.

`y = x + 1`, of rows of two numbers; the first number of the first row says what happens. It is loaded by name in the
processes of models, too: see `hostile_server`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pasarela_server.backends.artefacts import inferring
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.tensor import Array, DataType, TensorSpec

WELL = 0.0
SIGFPE = -1.0
SIGSEGV = -2.0
SIGKILL = -3.0
SLEEPS = -4.0
"""As long as it takes to be given up."""
RAISES = -5.0
NO_MEMORY = -6.0
EXITS = -7.0
WRONG_ROWS = -8.0
WRONG_TYPE = -9.0
NAP = -10.0
"""Sleeps for as many seconds as the second number says, and answers then."""
BAD_ALLOC = -11.0

SPEC = ArtefactSpec(
    inputs=(TensorSpec("x", DataType.FP32, (-1, 2)),), outputs=(TensorSpec("y", DataType.FP32, (-1, 2)),), batched=True
)
_SIGNALS = {SIGFPE: signal.SIGFPE, SIGSEGV: signal.SIGSEGV, SIGKILL: signal.SIGKILL}


class HostileSession:
    """Does what it is asked."""

    def __init__(self, zeros: float = WELL) -> None:
        self._zeros = zeros

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        x = inputs["x"]
        what = float(x[0, 0]) or self._zeros
        if what in _SIGNALS:
            os.kill(os.getpid(), _SIGNALS[what])
            time.sleep(30)
        if what == SLEEPS:
            sys.stderr.write("a hostile framework sleeps\n")  # tests wait for it
            sys.stderr.flush()
            threading.Event().wait(3600)
        if what == NAP:
            time.sleep(float(x[0, 1]))
        if what == EXITS:
            raise SystemExit(3)
        if what == NO_MEMORY:
            raise MemoryError
        with inferring("a hostile framework"):
            if what == RAISES:
                raise ZeroDivisionError("/srv/secret/model.py: it was asked to")
            if what == BAD_ALLOC:
                raise RuntimeError("std::bad_alloc")
        y = x + 1
        if what == WRONG_ROWS:
            y = np.concatenate([y, y])
        return {"y": y.astype(np.float64) if what == WRONG_TYPE else y}


class HostileBackend:
    """Loaded in no time."""

    spec = SPEC
    description = "hostile 1.0"

    def __init__(self, zeros: float = WELL) -> None:
        self._zeros = zeros

    def session(self) -> HostileSession:
        return HostileSession(self._zeros)

    def close(self) -> None:
        pass


class HostileLoader:
    """Loads any file, but one that says "sigfpe" or "sleeps".

    One that says "zeros:" and a number does with zeros what that number says.
    """

    name = "hostile"
    artefact = "model.hostile"

    def load(self, artefact: Path, options: BackendOptions) -> HostileBackend:
        content = artefact.read_text()
        if content.startswith("sigfpe"):
            os.kill(os.getpid(), signal.SIGFPE)
            time.sleep(30)
        if content.startswith("sleeps"):
            time.sleep(3600)
        return HostileBackend(float(content.removeprefix("zeros:")) if content.startswith("zeros:") else WELL)


def write_hostile(folder: Path, content: str = "anything") -> None:
    """Writes version 1 of a model."""
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "1" / "model.hostile").write_text(content)
    (folder / "config.pbtxt").write_text(
        'backend: "hostile"\ndefault_model_filename: "model.hostile"\nmax_batch_size: 4\n'
    )
