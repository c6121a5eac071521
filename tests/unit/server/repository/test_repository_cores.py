"""Models of one manager share the cores that its options grant."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pasarela_server.repository.manager import ManagerOptions
from pasarela_server.request import InferRequest
from pasarela_server.tensor import Array, DataType, Tensor


class Meeting:
    """A network that notices when two of its executions are under way at once; each gives the other time to come."""

    def __init__(self) -> None:
        self.open = False
        self.inside = 0
        self.met = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, inputs: dict[str, Array]) -> dict[str, Array]:
        if self.open:
            with self.lock:
                self.inside += 1
                if self.inside > 1:
                    self.met.set()
            self.met.wait(0.2)
            with self.lock:
                self.inside -= 1
        return {"y": inputs["x"] * 2}


@pytest.mark.parametrize(
    ("busy_cores", "meet"),
    [
        (1, False),  # reason: one core for both models
        (2, True),  # reason: one for each
        (None, True),  # reason: nobody counts
    ],
)
async def test_executions_of_two_models(repository: Any, busy_cores: int | None, meet: bool) -> None:
    network = Meeting()
    repository.loader.networks["meeting"] = (repository.loader.networks["plain"][0], network)
    manager = repository.add("a", "meeting").add("b", "meeting").manager(options=ManagerOptions(busy_cores=busy_cores))
    network.open = True

    async def ask(model: str) -> float:
        request = InferRequest(model, (Tensor("x", DataType.FP32, np.full((1, 2), 4, np.float32)),))
        with manager.acquire(model, None) as handle:
            answer = await handle.servable.infer(request)
        return float(answer.outputs[0].array[0, 0])

    assert await asyncio.gather(*(ask(model) for model in "abab")) == [8.0] * 4
    assert network.met.is_set() is meet


def test_backends_are_told_where_they_may_keep_things(repository: Any, tmp_path: Path) -> None:
    repository.add("a", "plain").manager(options=ManagerOptions(cache_folder=tmp_path))
    assert repository.loader.backends[0].options.cache_folder == tmp_path
