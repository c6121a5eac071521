"""Named, typed arrays: the currency between the wire, the scheduler and the backends."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class DataType(enum.Enum):
    """Element types of the Open Inference Protocol; the value is the name on the wire."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BF16 = "BF16"
    """Held as the upper half of an FP32 in an uint16 array, since NumPy has no such type."""
    BYTES = "BYTES"
    """Elements of any length; held as an object array of `bytes`."""

    @functools.cached_property
    def on_wire(self) -> str:
        """The same as `value`, which costs ten times as much to ask for."""
        return self.value

    @functools.cached_property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy type that holds elements of this type (little-endian, as on the wire)."""
        return _NUMPY[self]

    @functools.cached_property
    def itemsize(self) -> int | None:
        """Bytes per element; None for BYTES, whose elements differ in length."""
        return None if self is DataType.BYTES else self.numpy.itemsize


_NUMPY: dict[DataType, np.dtype[Any]] = {
    DataType.BOOL: np.dtype("?"),
    DataType.UINT8: np.dtype("u1"),
    DataType.UINT16: np.dtype("<u2"),
    DataType.UINT32: np.dtype("<u4"),
    DataType.UINT64: np.dtype("<u8"),
    DataType.INT8: np.dtype("i1"),
    DataType.INT16: np.dtype("<i2"),
    DataType.INT32: np.dtype("<i4"),
    DataType.INT64: np.dtype("<i8"),
    DataType.FP16: np.dtype("<f2"),
    DataType.FP32: np.dtype("<f4"),
    DataType.FP64: np.dtype("<f8"),
    DataType.BF16: np.dtype("<u2"),
    DataType.BYTES: np.dtype(object),
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model says of one of its tensors.

    `shape` is the whole shape, batch dimension included where there is one; -1 stands for a size that may vary.
    """

    name: str
    datatype: DataType
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named array of a request or a response.

    `array` may be a read-only view of a message's buffer: whoever wants to write copies first. In a request its
    elements may begin where no element of that type would (`array.flags.aligned`). Its dtype is `datatype.numpy`.
    """

    name: str
    datatype: DataType
    array: Array
