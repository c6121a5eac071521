"""A raw model answers requests in tensors."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pasarela_server.errors import BackendFailure, DeadlineExpired, InvalidRequest, QueueFull
from pasarela_server.request import InferRequest
from pasarela_server.tensor import Array, DataType, Tensor

PATIENCE_S = 30.0
ONE_INSTANCE = "instance_group { count: 1 }"
MERGED = ONE_INSTANCE + " dynamic_batching { }"


def request(*rows: float, **fields: Any) -> InferRequest:
    """A request to a model that doubles pairs of numbers."""
    array = np.array([[row, row] for row in rows], np.float32)
    return InferRequest("m", (Tensor("x", DataType.FP32, array),), **fields)


class Gate:
    """A network that says when it was entered and waits to be let go on, the first time after `close`."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        self.entered.set()
        assert self.open.wait(PATIENCE_S)
        return {"y": inputs["x"] * 2}


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


async def test_an_answer(repository: Any) -> None:
    manager = repository.add("m", "plain").manager()

    with manager.acquire("m") as handle:
        response = await handle.servable.infer(request(1, 3, id="7"))

    (output,) = response.outputs
    assert (response.model_name, response.model_version, response.id) == ("m", 1, "7")
    assert (output.name, output.datatype) == ("y", DataType.FP32)
    np.testing.assert_array_equal(output.array, [[2, 2], [6, 6]])
    assert response.timings.batch_size == 2
    assert response.timings.infer_ns > 0


async def test_only_the_requested_outputs_are_sent(repository: Any, plain_spec: Any) -> None:
    names = ("a", "b", "c")
    outputs = tuple(type(plain_spec.outputs[0])(name, DataType.FP32, (-1, 2)) for name in names)
    spec = type(plain_spec)(plain_spec.inputs, outputs, True)
    repository.loader.networks["many"] = (spec, lambda inputs: dict.fromkeys(names, inputs["x"]))
    manager = repository.add("m", "many").manager()

    with manager.acquire("m") as handle:
        some = await handle.servable.infer(request(1, requested_outputs=("c", "a")))
        every = await handle.servable.infer(request(1))

    assert [tensor.name for tensor in some.outputs] == ["c", "a"]
    assert [tensor.name for tensor in every.outputs] == ["a", "b", "c"]


async def test_outputs_that_the_configuration_leaves_out_are_not_offered(repository: Any, plain_spec: Any) -> None:
    spec = type(plain_spec)(
        plain_spec.inputs, (*plain_spec.outputs, type(plain_spec.outputs[0])("z", DataType.FP32, (-1, 2))), True
    )
    repository.loader.networks["two"] = (spec, lambda inputs: {"y": inputs["x"], "z": inputs["x"]})
    manager = repository.add("m", "two", config='output { name: "z" }').manager()

    with manager.acquire("m") as handle:
        response = await handle.servable.infer(request(1))
        with pytest.raises(InvalidRequest, match="no output 'y'; it has 'z'"):
            await handle.servable.infer(request(1, requested_outputs=("y",)))

    assert [tensor.name for tensor in response.outputs] == ["z"]


async def test_what_does_not_fit_costs_no_inference(repository: Any) -> None:
    manager = repository.add("m", "plain").manager()
    (backend,) = repository.loader.backends
    before = len(backend.shapes)

    with manager.acquire("m") as handle, pytest.raises(InvalidRequest, match="batches of at most 4, got 5"):
        await handle.servable.infer(request(1, 2, 3, 4, 5))

    assert len(backend.shapes) == before


async def test_an_image_size_that_the_network_cannot_take_is_refused(repository: Any) -> None:
    manager = repository.add("m", "detector").manager()
    tensor = Tensor("images", DataType.FP32, np.zeros((1, 3, 33, 64), np.float32))

    with manager.acquire("m") as handle, pytest.raises(InvalidRequest, match=r"^model 'm': input 'images': height"):
        await handle.servable.infer(InferRequest("m", (tensor,)))


async def test_a_cancelled_request_leaves_its_batch_mates_their_answers(repository: Any, plain_spec: Any) -> None:
    gate = Gate()
    repository.loader.networks["gate"] = (plain_spec, gate)
    manager = repository.add("m", "gate", config=MERGED).manager()
    (backend,) = repository.loader.backends
    gate.entered.clear()
    gate.open.clear()

    with manager.acquire("m") as handle:
        running = asyncio.create_task(handle.servable.infer(request(1)))
        await until(gate.entered)
        gone = asyncio.create_task(handle.servable.infer(request(2)))
        mates = [asyncio.create_task(handle.servable.infer(request(value))) for value in (3, 4)]
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        gate.open.set()
        answers = [(await task).outputs[0].array[0, 0] for task in (running, *mates)]

    assert answers == [2, 6, 8]
    assert backend.shapes[-1] == {"x": (2, 2)}, "the cancelled request took no row of the batch"


async def test_requests_are_not_merged_unless_that_is_decided(repository: Any, plain_spec: Any) -> None:
    gate = Gate()
    repository.loader.networks["gate"] = (plain_spec, gate)
    manager = repository.add("m", "gate", config=ONE_INSTANCE).manager()
    (backend,) = repository.loader.backends
    gate.entered.clear()
    gate.open.clear()

    with manager.acquire("m") as handle:
        running = asyncio.create_task(handle.servable.infer(request(1)))
        await until(gate.entered)
        waiting = [asyncio.create_task(handle.servable.infer(request(value))) for value in (2, 3)]
        several = asyncio.create_task(handle.servable.infer(request(4, 5, 6)))
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(running, *waiting, several)

    assert [shape["x"][0] for shape in backend.shapes[-4:]] == [1, 1, 1, 3]


async def test_a_request_cancelled_while_it_runs_disturbs_nobody(repository: Any, plain_spec: Any) -> None:
    gate = Gate()
    repository.loader.networks["gate"] = (plain_spec, gate)
    manager = repository.add("m", "gate", config=ONE_INSTANCE).manager()
    gate.entered.clear()
    gate.open.clear()

    with manager.acquire("m") as handle:
        gone = asyncio.create_task(handle.servable.infer(request(1)))
        await until(gate.entered)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        gate.open.set()
        response = await handle.servable.infer(request(5))

    assert response.outputs[0].array[0, 0] == 10


async def test_a_full_queue_refuses(repository: Any, plain_spec: Any) -> None:
    gate = Gate()
    repository.loader.networks["gate"] = (plain_spec, gate)
    config = ONE_INSTANCE + " max_batch_size: 4 dynamic_batching { default_queue_policy { max_queue_size: 1 } }"
    manager = repository.add("m", "gate", config=config).manager()
    gate.entered.clear()
    gate.open.clear()

    with manager.acquire("m") as handle:
        running = asyncio.create_task(handle.servable.infer(request(1)))
        await until(gate.entered)
        waiting = asyncio.create_task(handle.servable.infer(request(2)))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await handle.servable.infer(request(3))
        gate.open.set()
        await asyncio.gather(running, waiting)


async def test_a_more_urgent_request_is_executed_first(repository: Any, plain_spec: Any) -> None:
    gate, order = Gate(), []

    def network(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        order.append(float(inputs["x"][0, 0]))
        return gate(inputs)

    repository.loader.networks["gate"] = (plain_spec, network)
    levels = "priority_levels: 2 default_priority_level: 2"
    config = f"max_batch_size: 1 {ONE_INSTANCE} dynamic_batching {{ {levels} }}"
    manager = repository.add("m", "gate", config=config).manager()
    order.clear()
    gate.entered.clear()
    gate.open.clear()

    with manager.acquire("m") as handle:
        first = asyncio.create_task(handle.servable.infer(request(1)))
        await until(gate.entered)
        later = [
            asyncio.create_task(handle.servable.infer(request(row, parameters={"priority": priority})))
            for row, priority in ((2, 0), (3, 1))
        ]
        await asyncio.sleep(0)
        assert handle.servable.waiting == 2
        gate.open.set()
        await asyncio.gather(first, *later)

    assert order == [1, 3, 2]


async def test_an_expired_request_is_not_executed(repository: Any) -> None:
    manager = repository.add("m", "plain").manager()

    with manager.acquire("m") as handle, pytest.raises(DeadlineExpired):
        await handle.servable.infer(request(1, deadline_monotonic_s=time.monotonic() - 1))


async def test_a_failing_framework_fails_its_request_only(repository: Any, plain_spec: Any) -> None:
    def network(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if inputs["x"].any():
            raise BackendFailure("fake failed: no memory")
        return {"y": inputs["x"]}

    repository.loader.networks["picky"] = (plain_spec, network)
    manager = repository.add("m", "picky").manager()

    with manager.acquire("m") as handle:
        with pytest.raises(BackendFailure, match="no memory"):
            await handle.servable.infer(request(1))
        response = await handle.servable.infer(request(0))

    assert response.outputs[0].array[0, 0] == 0


async def test_labels_are_the_names_that_the_metadata_gives(repository: Any) -> None:
    metadata = "parameters { key: 'metadata' value { string_value: \"{'names': {0: 'cat', 1: 'dog'}}\" } }"
    manager = repository.add("m", "plain", config=metadata).manager()

    with manager.acquire("m") as handle:
        assert handle.servable.labels("y") == ("cat", "dog")
