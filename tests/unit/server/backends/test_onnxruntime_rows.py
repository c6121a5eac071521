"""ONNX Runtime on one thread takes a detector's batch row by row, and a batch as a batch elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pasarela_server.backends import load_backend
from pasarela_server.backends.base import BackendOptions
from pasarela_server.backends.onnxruntime import OnnxRuntimeSession

Make = Callable[..., Path]


@pytest.mark.parametrize(
    ("made", "threads", "row_by_row"),
    [
        ("onnx_detector", 1, True),  # reason: a batch is no faster than its rows
        ("onnx_detector", 2, False),  # reason: a batch may keep two threads busier than a row does
        ("onnx_adder", 1, False),  # reason: nobody says that it is a detector
    ],
)
def test_who_goes_row_by_row(make: Make, tmp_path: Path, made: str, threads: int, row_by_row: bool) -> None:
    assert load_backend("onnxruntime", make(made, tmp_path), BackendOptions(1, threads)).spec.row_by_row is row_by_row


class Doubling:
    """Notes how many rows come at once."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def run(self, names: list[str], inputs: dict[str, Any]) -> list[np.ndarray]:
        self.rows.append(len(inputs["x"]))
        return [inputs["x"] * 2]


@pytest.mark.parametrize(
    ("row_by_row", "parts", "rows"),
    [
        (True, [3], [1, 1, 1]),  # reason: a batch that a client sent
        (True, [1, 2], [1, 1, 1]),  # reason: requests that were merged
        (False, [1, 2], [3]),  # reason: a batch is run as one
        (True, [1], [1]),  # reason: a single row
    ],
)
def test_rows_are_answered_in_their_order(row_by_row: bool, parts: list[int], rows: list[int]) -> None:
    inference = Doubling()
    session = OnnxRuntimeSession(inference, ["y"], row_by_row=row_by_row)
    whole = np.arange(2.0 * sum(parts)).reshape(-1, 2)
    edges = np.cumsum([0, *parts])
    answer = session.infer_parts(
        [{"x": whole[start : start + count]} for start, count in zip(edges, parts, strict=False)]
    )
    assert np.array_equal(answer["y"], whole * 2)
    assert inference.rows == rows
