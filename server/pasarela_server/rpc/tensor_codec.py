"""Arrays to and from the two ways in which a message holds them: raw bytes and typed lists."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.rpc.wire import split_off
from pasarela_server.tensor import Array, DataType

MAX_DIMENSIONS = 32
MAX_BYTES_ELEMENTS = 65_536
"""In one request: each costs time on the event loop."""

_LENGTH = struct.Struct("<I")
_MAX_ELEMENTS = 2**31 - 1
_SMALL_BYTES = 4096
"""Below it a copy costs less than a view."""
_DATATYPES = {datatype.value: datatype for datatype in DataType}

_TYPED_FIELD: dict[DataType, str] = {
    DataType.BOOL: "bool_contents",
    DataType.INT8: "int_contents",
    DataType.INT16: "int_contents",
    DataType.INT32: "int_contents",
    DataType.INT64: "int64_contents",
    DataType.UINT8: "uint_contents",
    DataType.UINT16: "uint_contents",
    DataType.UINT32: "uint_contents",
    DataType.UINT64: "uint64_contents",
    DataType.FP32: "fp32_contents",
    DataType.FP64: "fp64_contents",
    DataType.BYTES: "bytes_contents",
}
_TYPED_FIELDS = tuple(dict.fromkeys(_TYPED_FIELD.values()))
_WIDENED: dict[str, npt.DTypeLike] = {"int_contents": np.int32, "uint_contents": np.uint32}
_PACKED_ALIKE = {
    DataType.BOOL: pb.InferTensorContents.BOOL_CONTENTS_FIELD_NUMBER,
    DataType.FP32: pb.InferTensorContents.FP32_CONTENTS_FIELD_NUMBER,
    DataType.FP64: pb.InferTensorContents.FP64_CONTENTS_FIELD_NUMBER,
}
"""Numbers of the fields whose elements protobuf packs as they lie in an array."""


def decode_datatype(where: str, name: str) -> DataType:
    """The type of that name.

    Raises:
        InvalidRequest: There is no such type.
    """
    datatype = _DATATYPES.get(name)
    if datatype is None:
        raise InvalidRequest(f"{where}: expected one of the datatypes {', '.join(_DATATYPES)}; got '{name[:40]}'")
    return datatype


def decode_shape(where: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape, if an array could have it.

    Raises:
        InvalidRequest: A size is negative, or there are too many of them, or their product is beyond any message.
    """
    if len(shape) > MAX_DIMENSIONS:
        raise InvalidRequest(f"{where}: expected at most {MAX_DIMENSIONS} dimensions, got {len(shape)}")
    sizes = tuple(shape[:])  # a third of what taking protobuf's numbers one by one costs
    if sizes and min(sizes) < 0:
        raise InvalidRequest(f"{where}: expected sizes that are not negative, got shape {list(sizes)}")
    if (math.prod(sizes) or math.prod(filter(None, sizes))) > _MAX_ELEMENTS:
        raise InvalidRequest(f"{where}: expected a shape of at most {_MAX_ELEMENTS} elements, got shape {list(sizes)}")
    return sizes


def decode_raw(where: str, datatype: DataType, shape: tuple[int, ...], raw: bytes | memoryview) -> Array:
    """An array over a raw, read-only buffer: a view of it, without a copy, that need not be aligned.

    Elements of BYTES are copied.

    Raises:
        InvalidRequest: The buffer's length is not that of shape and datatype, or its content is malformed.
    """
    count = math.prod(shape)
    itemsize = datatype.itemsize
    if itemsize is None:
        return _decode_bytes(where, count, raw).reshape(shape)
    if len(raw) != count * itemsize:
        raise InvalidRequest(
            f"{where}: expected {count * itemsize} bytes for {datatype.value} of shape {list(shape)}, got {len(raw)}"
        )
    if datatype is DataType.BOOL and count and np.frombuffer(raw, np.uint8).max() > 1:
        raise InvalidRequest(f"{where}: expected bytes of 0 or 1 for BOOL, got others")
    array: Array = np.ndarray(shape, datatype.numpy, raw)
    return array


def _decode_bytes(where: str, count: int, raw: bytes | memoryview) -> npt.NDArray[np.object_]:
    # Checked before time and memory are spent on the count: it is the client's word only.
    check_bytes_elements(where, count)
    if count * _LENGTH.size > len(raw):
        raise InvalidRequest(
            f"{where}: expected {count} BYTES elements of at least {_LENGTH.size} bytes (a uint32 length each), "
            f"got {len(raw)} bytes"
        )
    elements = np.empty(count, object)
    start = 0
    for index in range(count):
        body = start + _LENGTH.size
        length = _LENGTH.unpack_from(raw, start)[0] if body <= len(raw) else 0
        if body + length > len(raw):
            raise InvalidRequest(
                f"{where}: BYTES element {index} of {count} is said to have {length} bytes at offset {start}, "
                f"but only {max(0, len(raw) - body)} are left"
            )
        elements[index] = bytes(raw[body : body + length])
        start = body + length
    if start != len(raw):
        raise InvalidRequest(
            f"{where}: expected {count} BYTES elements in {start} bytes, got {len(raw) - start} bytes more"
        )
    return elements


def check_bytes_elements(where: str, count: int) -> None:
    """Refuses so many elements of BYTES, of one tensor or of one request, that they would hold up the event loop.

    Raises:
        InvalidRequest: There are too many.
    """
    if count > MAX_BYTES_ELEMENTS:
        raise InvalidRequest(f"{where}: expected at most {MAX_BYTES_ELEMENTS} BYTES elements, got {count}")


def has_typed_contents(contents: pb.InferTensorContents) -> bool:
    """True if any of the typed lists holds something."""
    return any(len(getattr(contents, field)) for field in _TYPED_FIELDS)


def decode_typed(where: str, datatype: DataType, shape: tuple[int, ...], contents: pb.InferTensorContents) -> Array:
    """An array from the typed list that belongs to the datatype.

    Raises:
        InvalidRequest: The data are in another list, are too few or too many, or do not fit the datatype.
    """
    field = _TYPED_FIELD.get(datatype)
    if field is None:
        raise InvalidRequest(f"{where}: expected {datatype.value} data in raw_input_contents, got typed contents")
    strangers = [other for other in _TYPED_FIELDS if other != field and len(getattr(contents, other))]
    if strangers:
        raise InvalidRequest(f"{where}: expected {datatype.value} data in {field}, got data in {', '.join(strangers)}")
    values: Sequence[Any] = getattr(contents, field)
    count = math.prod(shape)
    if len(values) != count:
        raise InvalidRequest(
            f"{where}: expected {count} elements in {field} for shape {list(shape)}, got {len(values)}"
        )
    if datatype is DataType.BYTES:
        check_bytes_elements(where, count)
        elements = np.empty(count, object)
        elements[:] = values
        return elements.reshape(shape)
    number = _PACKED_ALIKE.get(datatype)
    if number is not None and count:
        return _unpack(contents, number, datatype).reshape(shape)
    wide = np.fromiter(values, _WIDENED.get(field, datatype.numpy), count)
    array = wide.astype(datatype.numpy, copy=False)
    if array is not wide and not np.array_equal(array, wide):
        limits = np.iinfo(array.dtype)
        raise InvalidRequest(
            f"{where}: expected {datatype.value} data between {limits.min} and {limits.max} in {field}, "
            f"got {wide.min()} to {wide.max()}"
        )
    return array.reshape(shape)


def _unpack(contents: pb.InferTensorContents, number: int, datatype: DataType) -> Array:
    """The elements of a list, copied by protobuf as one block: a fortieth of the price of taking them one by one."""
    contents.DiscardUnknownFields()
    split = split_off(contents.SerializeToString(), number)
    assert split is not None  # protobuf has written it, and nothing else is in it
    _, (packed,) = split
    return np.frombuffer(packed, datatype.numpy)


def encode_raw(datatype: DataType, array: Array) -> bytes:
    """The bytes of an array as raw contents hold them: row-major, little-endian; BYTES with their lengths."""
    if datatype is not DataType.BYTES:
        return array.astype(datatype.numpy, copy=False).tobytes()
    parts: list[bytes] = []
    for element in array.ravel():
        parts += (_LENGTH.pack(len(element)), element)
    return b"".join(parts)


def view_raw(datatype: DataType, array: Array) -> bytes | memoryview:
    """The same bytes as `encode_raw`, without a copy where many lie in the array as they are."""
    if datatype is DataType.BYTES or array.nbytes < _SMALL_BYTES:
        return encode_raw(datatype, array)
    return np.ascontiguousarray(array, datatype.numpy).reshape(-1).view(np.uint8).data
