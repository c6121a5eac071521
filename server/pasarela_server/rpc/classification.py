"""The classification extension: instead of an output, the best of its values, with index and label, as text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pasarela_server.errors import InvalidRequest
from pasarela_server.tensor import Array, DataType

MAX_CLASSES = 65_536
"""Texts in one answer: each costs time on the event loop."""

_WITHOUT_ORDER = frozenset({DataType.BOOL, DataType.BYTES})


def classify(
    where: str, datatype: DataType, array: Array, count: int, labels: Sequence[str], *, batched: bool
) -> npt.NDArray[np.object_]:
    """The best of each row, best first, as "value:index" or "value:index:label".

    A row is everything that one element of the batch dimension holds, whatever its shape; its elements are the
    classes. Values are written as Triton writes them: six digits behind the point, whole numbers without. Not-a-number
    comes last.

    Args:
        where: Model and output, for messages.
        datatype: Of the output.
        array: The output.
        count: How many of each row; as many as there are if there are fewer.
        labels: Names of the classes, by index; not used unless there are as many as classes.
        batched: Whether the first dimension is the batch.

    Returns:
        An array of bytes, of shape [batch, count]; [count] if there is no batch dimension.

    Raises:
        InvalidRequest: The output's datatype has no order, or there would be too many texts.
    """
    if datatype in _WITHOUT_ORDER:
        raise InvalidRequest(f"{where}: expected an output of numbers for classification, it has {datatype.value}")
    values = _numbers(datatype, array)
    rows = values.reshape(values.shape[0], -1) if batched and values.size else values.reshape(1, -1)
    classes = rows.shape[1]
    count = min(count, classes)
    if rows.shape[0] * count > MAX_CLASSES:
        raise InvalidRequest(
            f"{where}: expected at most {MAX_CLASSES} classifications, got {rows.shape[0]} rows of {count}"
        )
    best = _best(rows, count)
    texts = _texts(np.take_along_axis(rows, best, axis=1), best, labels if len(labels) == classes else ())
    return texts.reshape(-1, count) if batched and values.size else texts


def _numbers(datatype: DataType, array: Array) -> Array:
    if datatype is DataType.BF16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def _best(rows: Array, count: int) -> npt.NDArray[np.intp]:
    """Indices of the highest of each row, highest first; of equal values that are taken the first comes first."""
    # Ascending keys for descending values, without overflow; not-a-number stays last.
    keys = -rows if rows.dtype.kind == "f" else ~rows
    if 0 < count < rows.shape[1]:
        candidates = np.sort(np.argpartition(keys, count - 1, axis=1)[:, :count], axis=1)
    else:
        candidates = np.broadcast_to(np.arange(rows.shape[1])[:count], (rows.shape[0], count))
    order = np.argsort(np.take_along_axis(keys, candidates, axis=1), axis=1, kind="stable")
    return np.take_along_axis(candidates, order, axis=1)


def _texts(values: Array, indices: npt.NDArray[np.intp], labels: Sequence[str]) -> npt.NDArray[np.object_]:
    pattern = "%f:%d" if values.dtype.kind == "f" else "%d:%d"
    texts = np.empty(values.size, object)
    for position, (value, index) in enumerate(zip(values.ravel().tolist(), indices.ravel().tolist(), strict=True)):
        text = pattern % (value, index)
        texts[position] = (f"{text}:{labels[index]}" if labels else text).encode()
    return texts
