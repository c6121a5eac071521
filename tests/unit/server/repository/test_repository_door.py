"""The door: what does not fit the model is refused before it costs anything."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pasarela_server.config.model import ModelConfig
from pasarela_server.errors import InvalidRequest
from pasarela_server.repository.door import check_request
from pasarela_server.request import InferRequest
from pasarela_server.tensor import DataType, Tensor, TensorSpec

BATCHED = ModelConfig(
    name="m",
    backend="fake",
    max_batch_size=4,
    inputs=(TensorSpec("image", DataType.FP32, (-1, 3, -1)), TensorSpec("size", DataType.INT64, (-1, 2))),
    outputs=(TensorSpec("boxes", DataType.FP32, (-1, 4)),),
)
WHOLE = ModelConfig(
    name="m", backend="fake", inputs=(TensorSpec("text", DataType.BYTES, (1,)),), outputs=BATCHED.outputs
)


def image(*shape: int) -> Tensor:
    return Tensor("image", DataType.FP32, np.zeros(shape, np.float32))


def size(*shape: int) -> Tensor:
    return Tensor("size", DataType.INT64, np.zeros(shape, np.int64))


def text(*shape: int) -> Tensor:
    return Tensor("text", DataType.BYTES, np.full(shape, b"", object))


@pytest.mark.parametrize(
    ("config", "inputs", "rows"),
    [
        pytest.param(BATCHED, (image(1, 3, 5), size(1, 2)), 1, id="one row"),
        pytest.param(BATCHED, (size(4, 2), image(4, 3, 9)), 4, id="a full batch, in another order"),
        pytest.param(WHOLE, (text(1),), 1, id="no batch dimension counts as one row"),
    ],
)
def test_rows_of_what_fits(config: ModelConfig, inputs: tuple[Tensor, ...], rows: int) -> None:
    assert check_request(config, InferRequest("m", inputs)) == rows


@pytest.mark.parametrize(
    ("config", "inputs", "expected"),
    [
        pytest.param(BATCHED, (image(1, 3, 5),), "input 'size' is missing; expected 'image', 'size'", id="missing"),
        pytest.param(BATCHED, (), "input 'image' is missing", id="nothing sent"),
        pytest.param(
            BATCHED,
            (image(1, 3, 5), size(1, 2), text(1)),
            "model 'm' has no input 'text'; it has 'image', 'size'",
            id="unknown",
        ),
        pytest.param(BATCHED, (image(1, 3, 5), size(1, 2), size(1, 2)), "'size' was sent 2 times", id="sent twice"),
        pytest.param(
            BATCHED,
            (Tensor("image", DataType.FP16, np.zeros((1, 3, 5), np.float16)), size(1, 2)),
            "input 'image' must be FP32, got FP16",
            id="datatype",
        ),
        pytest.param(
            BATCHED,
            (image(3, 5), size(1, 2)),
            "input 'image' must have shape [-1, 3, -1], the first dimension being the batch, got [3, 5]",
            id="no batch dimension",
        ),
        pytest.param(
            BATCHED,
            (image(1, 4, 5), size(1, 2)),
            "shape [-1, 3, -1], the first dimension being the batch, got [1, 4, 5]",
            id="a fixed size",
        ),
        pytest.param(BATCHED, (image(1, 3, 0), size(1, 2)), "[1, 3, 0], which holds no element", id="a size of none"),
        pytest.param(BATCHED, (image(0, 3, 5), size(0, 2)), "[0, 3, 5], which holds no element", id="no rows"),
        pytest.param(
            BATCHED,
            (image(2, 3, 5), size(3, 2)),
            "all inputs must have the same batch size, got 2 for 'image' and 3 for 'size'",
            id="batches disagree",
        ),
        pytest.param(BATCHED, (image(5, 3, 5), size(5, 2)), "batches of at most 4, got 5", id="too many rows"),
        pytest.param(WHOLE, (text(2),), "input 'text' must have shape [1], got [2]", id="no batch dimension to extend"),
        pytest.param(
            WHOLE, (text(1, 1),), "input 'text' must have shape [1], got [1, 1]", id="a batch nobody asked for"
        ),
    ],
)
def test_what_does_not_fit_is_refused(config: ModelConfig, inputs: tuple[Tensor, ...], expected: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(expected)) as raised:
        check_request(config, InferRequest("m", inputs))
    assert str(raised.value).startswith("model 'm'")


def test_an_unknown_output_is_refused() -> None:
    request = InferRequest("m", (text(1),), requested_outputs=("boxes", "masks"))

    with pytest.raises(InvalidRequest, match="model 'm' has no output 'masks'; it has 'boxes'"):
        check_request(WHOLE, request)
