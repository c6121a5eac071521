"""A process that runs a framework with nothing of Pasarela around it.

`python -m loadtest.benchmark.direct onnxruntime|pytorch ARTEFACT SIDE`

Two set-ups are tried at first, one session a core and one session on all cores, and the faster one is measured:
whoever calls the framework directly would find it, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.benchmark.child import serve
from loadtest.benchmark.closed_loop import rate
from pasarela_server.config.cores import available_cores

_TRIAL_S = 1.0


@dataclass(frozen=True, slots=True)
class SetUp:
    """A way of calling the framework: a step for each thread that calls it."""

    description: str
    steps: tuple[Callable[[], None], ...]


def onnxruntime_set_up(artefact: Path, side: int, sessions: int, threads: int) -> SetUp:
    """`sessions` of `threads` each, called side by side."""
    import onnxruntime

    def step() -> Callable[[], None]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
        inputs = {session.get_inputs()[0].name: np.full((1, 3, side, side), 0.5, np.float32)}

        def run() -> None:
            session.run(None, inputs)

        return run

    description = f"onnxruntime {onnxruntime.__version__}, {sessions} x {threads} threads"
    return SetUp(description, tuple(step() for _ in range(sessions)))


def pytorch_set_up(artefact: Path, side: int, sessions: int, threads: int) -> SetUp:
    """The TorchScript archive, called on `sessions` threads that use `threads` each."""
    import torch

    module = torch.jit.load(artefact, map_location="cpu").eval()
    pixels = torch.full((1, 3, side, side), 0.5)

    def run() -> None:
        torch.set_num_threads(threads)  # of the calling thread
        with torch.inference_mode():
            module(pixels)

    return SetUp(f"torch {torch.__version__}, {sessions} x {threads} threads", (run,) * sessions)


_MAKERS = {"onnxruntime": onnxruntime_set_up, "pytorch": pytorch_set_up}


def main(arguments: list[str]) -> int:
    """Obeys; the set-up is chosen at the first command."""
    backend, artefact, side = arguments
    chosen: SetUp | None = None

    def best() -> SetUp:
        nonlocal chosen
        if chosen is None:
            cores = available_cores()
            tried = [_MAKERS[backend](Path(artefact), int(side), *split) for split in {(cores, 1), (1, cores)}]
            chosen = max(tried, key=lambda one: rate(one.steps, _TRIAL_S))
        return chosen

    def describe() -> Mapping[str, Any]:
        return {"description": best().description}

    def measure(seconds: float) -> Mapping[str, Any]:
        return {"per_second": rate(best().steps, seconds)}

    return serve({"describe": describe, "rate": measure})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
