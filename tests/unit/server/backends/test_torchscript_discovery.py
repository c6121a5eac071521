"""Reading a spec off what a module does, with functions in the module's place."""

from collections.abc import Sequence

import numpy as np
import pytest

from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.torchscript import Run, discover_spec

METADATA = {"task": "detect", "names": {0: "vest"}, "stride": 32, "imgsz": [64, 96], "batch": 1}


def pooled(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Any batch, any size: a mean for each cell of 32 by 32."""
    images = arrays[0]
    batch, channels, height, width = images.shape
    return [images.reshape(batch, channels, height // 32, 32, width // 32, 32).mean((3, 5)).reshape(batch, 3, -1)]


def only(*sizes: int) -> Run:
    """Like `pooled`, but fails on other heights."""

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        if arrays[0].shape[2] not in sizes:
            raise RuntimeError("The size of tensor a must match the size of tensor b")
        return pooled(arrays)

    return run


def only_rows(rows: int) -> Run:
    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        if len(arrays[0]) != rows:
            raise RuntimeError("shape is invalid")
        return pooled(arrays)

    return run


def first_row_only(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    output = pooled(arrays)[0]
    return [np.concatenate((output[:1], np.zeros_like(output[1:])))]


def rows_melt(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    output = pooled(arrays)[0]
    return [np.broadcast_to(output.mean(0, keepdims=True), output.shape)]


def loses_rows(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [pooled(arrays)[0][:1]]


@pytest.mark.parametrize(
    ("run", "metadata", "taken", "given", "batched"),
    [
        pytest.param(pooled, METADATA, (-1, 3, -1, -1), (-1, 3, -1), True, id="everything varies"),
        pytest.param(only(64), METADATA, (-1, 3, 64, 96), (-1, 3, 6), True, id="a traced size stays"),
        pytest.param(only_rows(1), METADATA, (1, 3, -1, -1), (1, 3, -1), False, id="one row only"),
        pytest.param(only_rows(4), METADATA | {"batch": 4}, (4, 3, -1, -1), (4, 3, -1), False, id="four rows only"),
        pytest.param(first_row_only, METADATA, (1, 3, -1, -1), (1, 3, -1), False, id="wrong after the first row"),
        pytest.param(rows_melt, METADATA, (1, 3, -1, -1), (1, 3, -1), False, id="rows change each other"),
        pytest.param(loses_rows, METADATA, (1, 3, -1, -1), (1, 3, -1), False, id="rows are lost"),
    ],
)
def test_what_is_tried_is_what_is_said(
    run: Run, metadata: dict[str, object], taken: tuple[int, ...], given: tuple[int, ...], batched: bool
) -> None:
    spec = discover_spec(run, 1, metadata, BackendOptions(1, 1))
    assert [(tensor.name, tensor.shape) for tensor in spec.inputs] == [("images", taken)]
    assert [(tensor.name, tensor.shape) for tensor in spec.outputs] == [("output0", given)]
    assert spec.batched is batched


def test_a_module_that_cannot_run_at_all_raises() -> None:
    with pytest.raises(RuntimeError, match="must match"):
        discover_spec(only(1), 1, METADATA, BackendOptions(1, 1))
