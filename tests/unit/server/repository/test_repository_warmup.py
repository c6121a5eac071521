"""Zeros for the first inference."""

from __future__ import annotations

import pytest

from pasarela_server.repository.warmup import warmup_inputs
from pasarela_server.tensor import DataType, TensorSpec


@pytest.mark.parametrize(
    ("shape", "size", "batched", "expected"),
    [
        pytest.param((-1, 3, -1, -1), (32, 64), True, (1, 3, 32, 64), id="an image of any size: the usual one"),
        pytest.param((-1, -1, -1, -1), (32, 64), True, (1, 3, 32, 64), id="channels that vary too"),
        pytest.param((-1, 3, 320, 320), (32, 64), True, (1, 3, 320, 320), id="a fixed size is kept"),
        pytest.param((2, 3, 8, 8), None, False, (2, 3, 8, 8), id="a fixed batch is kept"),
        pytest.param((-1, 3, -1, -1), (32, 64), False, (1, 3, 32, 64), id="a first dimension that varies unbatched"),
        pytest.param((-1, 7), None, True, (1, 7), id="no image"),
        pytest.param((-1, -1), None, True, None, id="nothing says how long it usually is"),
        pytest.param((-1, 3, -1, -1), None, True, None, id="an image without a usual size"),
        pytest.param((-1,), None, False, None, id="no batch dimension and any length"),
    ],
)
def test_shape(
    shape: tuple[int, ...], size: tuple[int, int] | None, batched: bool, expected: tuple[int, ...] | None
) -> None:
    arrays = warmup_inputs([TensorSpec("x", DataType.FP16, shape)], size, batched=batched)

    assert (arrays["x"].shape if arrays is not None else None) == expected


@pytest.mark.parametrize("datatype", DataType)
def test_elements_are_of_the_inputs_type(datatype: DataType) -> None:
    arrays = warmup_inputs([TensorSpec("x", datatype, (1, 2))], None, batched=False)

    assert arrays is not None
    assert arrays["x"].dtype == datatype.numpy
    assert list(arrays["x"].ravel()) == [b"" if datatype is DataType.BYTES else 0] * 2
