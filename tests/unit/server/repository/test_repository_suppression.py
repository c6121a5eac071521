"""A model that suppresses another's answers: tensors in, a few finished rows out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pasarela_server.errors import InvalidRequest, ModelUnavailable, QueueFull
from pasarela_server.repository.manager import ManagerOptions
from pasarela_server.repository.pipeline import ImageLimits
from pasarela_server.repository.servable import State
from pasarela_server.request import InferRequest
from pasarela_server.tensor import DataType, Tensor, TensorSpec

OVER_RAW = 'backend: "nms" parameters { key: "model" value { string_value: "raw" } }'
ONE_VEST = [24, 12, 40, 20, 0.75, 1]


def images(rows: int = 1, height: int = 32, width: int = 64, **fields: Any) -> InferRequest:
    array = np.zeros((rows, 3, height, width), np.float32)
    return InferRequest("fast", (Tensor("images", DataType.FP32, array),), **fields)


@pytest.fixture
def manager(repository: Any) -> Any:
    """`raw`, a detector that finds one vest; and `fast` over it."""
    return repository.add("raw", "detector").add("fast", config=OVER_RAW).manager()


@pytest.mark.parametrize("rows", [1, 3])
async def test_each_row_gets_its_finished_rows(manager: Any, rows: int) -> None:
    with manager.acquire("fast") as handle:
        response = await handle.servable.infer(images(rows, id="7"))
    (output,) = response.outputs
    assert (response.model_name, response.model_version, response.id) == ("fast", 1, "7")
    assert (output.name, output.datatype, output.array.shape) == ("output0", DataType.FP32, (rows, 300, 6))
    for answer in output.array:
        np.testing.assert_allclose(answer[0], ONE_VEST)
        assert not answer[1:].any()
    assert response.timings.batch_size == rows
    assert response.timings.postprocess_ns > 0


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        pytest.param(images(rows=5), "model 'fast' takes batches of at most 4, got 5", id="too many rows"),
        pytest.param(images(height=33), "height must be a positive multiple of 32", id="beside the stride"),
        pytest.param(images(requested_outputs=("boxes",)), "model 'fast' has no output 'boxes'", id="another output"),
    ],
)
async def test_what_does_not_fit_is_refused(manager: Any, request_: InferRequest, says: str) -> None:
    with manager.acquire("fast") as handle, pytest.raises(InvalidRequest, match=says):
        await handle.servable.infer(request_)


async def test_images_are_sent_elsewhere(manager: Any) -> None:
    with manager.acquire("fast") as handle, pytest.raises(InvalidRequest, match="takes tensors; send images to"):
        await handle.servable.detect(b"")


async def test_only_so_many_wait(repository: Any) -> None:
    options = ManagerOptions(limits=ImageLimits(max_waiting=1))
    manager = repository.add("raw", "detector").add("fast", config=OVER_RAW).manager(options=options)
    with manager.acquire("fast") as handle:
        first = handle.servable.infer(images())
        first.send(None)
        with pytest.raises(QueueFull, match="1 requests wait already"):
            await handle.servable.infer(images())
        first.close()
        assert (await handle.servable.infer(images())).outputs


def test_it_is_loaded_after_the_model_that_it_runs(repository: Any) -> None:
    manager = repository.add("a_fast", config=OVER_RAW).add("raw", "detector").manager()
    assert all(entry.state is State.READY for entry in manager.index())


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        pytest.param("plain", "'raw' is no detection model", id="no detector"),
        pytest.param("finished", "the answers of 'raw' are finished rows and need no suppression", id="nothing to do"),
    ],
)
def test_the_raw_model_must_have_something_to_suppress(
    repository: Any, detector_spec: Any, kind: str, says: str
) -> None:
    finished = replace(
        detector_spec,
        outputs=(TensorSpec("output0", DataType.FP32, (-1, 300, 6)),),
        metadata={**detector_spec.metadata, "end2end": True},
    )
    repository.loader.networks["finished"] = (
        finished,
        lambda inputs: {"output0": np.zeros((len(inputs["images"]), 300, 6), np.float32)},
    )
    manager = repository.add("raw", kind).add("fast", config=OVER_RAW).manager()
    (entry,) = [entry for entry in manager.index() if entry.name == "fast"]
    assert entry.state is State.UNAVAILABLE
    assert says in entry.reason


async def test_a_raw_model_of_another_size_takes_over(repository: Any, detector_spec: Any, manager: Any) -> None:
    fixed = replace(detector_spec, inputs=(TensorSpec("images", DataType.FP32, (-1, 3, 64, 64)),))
    repository.loader.networks["fixed"] = (fixed, repository.loader.networks["detector"][1])
    repository.add("raw", "fixed", version=2)
    with manager.acquire("fast") as before:
        manager.poll()
        assert manager.ready_versions("raw") == (2,)
        response = await before.servable.infer(images(height=64))
        np.testing.assert_allclose(response.outputs[0].array[0, 0], ONE_VEST)
        with pytest.raises(InvalidRequest, match=r"must have shape \[-1, 3, 64, 64\]"):
            await before.servable.infer(images())
    assert manager.config("fast").inputs[0].shape == (-1, 3, 64, 64), "what clients are told has been renewed"


async def test_a_raw_model_that_needs_no_suppression_any_more(
    repository: Any, detector_spec: Any, manager: Any
) -> None:
    finished = replace(
        detector_spec,
        outputs=(TensorSpec("output0", DataType.FP32, (-1, 300, 6)),),
        metadata={**detector_spec.metadata, "end2end": True},
    )
    rows = {"output0": np.zeros((1, 300, 6), np.float32)}
    repository.loader.networks["finished"] = (
        finished,
        lambda inputs: {name: np.repeat(array, len(inputs["images"]), axis=0) for name, array in rows.items()},
    )
    repository.add("raw", "finished", version=2)
    with manager.acquire("fast") as handle:
        manager.poll()
        assert manager.ready_versions("raw") == (2,)
        with pytest.raises(ModelUnavailable, match="'fast' suppresses the answers of 'raw', which has none"):
            await handle.servable.infer(images())
