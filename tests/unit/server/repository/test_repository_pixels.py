"""A detector whose backend takes pixels: what it is warmed up with, and what it is sent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pasarela_server.tensor import Array

SIZES = [1, 2, 3, 4]
"""Rows of each batch that merged requests can make."""
MERGED = "max_batch_size: 4 dynamic_batching { } instance_group { count: 2 kind: KIND_CPU }"


def nothing(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    return {"output0": np.zeros((len(inputs["images"]), 6, 3), np.float32)}


@pytest.mark.parametrize(
    ("pixels", "row_by_row", "expected"),
    [
        (True, True, [(1, 32, 64, 3)]),  # reason: one picture stands for everything
        (False, True, [(1, 3, 32, 64)] * 2),  # reason: one row of zeros, and the picture
        (False, False, [*((rows, 3, 32, 64) for rows in SIZES), (1, 3, 32, 64)]),  # reason: each batch is another
        (True, False, [*((rows, 3, 32, 64) for rows in SIZES), (1, 32, 64, 3)]),  # reason: tensors and pixels
    ],
)
def test_each_session_is_warmed_up(
    repository: Any, pixels: bool, row_by_row: bool, expected: list[tuple[int, ...]]
) -> None:
    spec = replace(
        repository.loader.networks["detector"][0],
        pixel_inputs=frozenset({"images"} if pixels else ()),
        row_by_row=row_by_row,
    )
    repository.loader.networks["seen"] = (spec, nothing)
    repository.add("m", "seen", config=MERGED).manager()
    (backend,) = repository.loader.backends
    assert sorted(shapes["images"] for shapes in backend.shapes) == sorted(expected * 2)
