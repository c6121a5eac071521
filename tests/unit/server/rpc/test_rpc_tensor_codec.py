"""Arrays over raw buffers and typed lists: what is taken, and each reason to refuse."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.rpc.tensor_codec import (
    decode_datatype,
    decode_raw,
    decode_shape,
    decode_typed,
    encode_raw,
    has_typed_contents,
    view_raw,
)
from pasarela_server.tensor import DataType

WHERE = "model 'm', input 'x'"
FIXED = [datatype for datatype in DataType if datatype is not DataType.BYTES]


@pytest.mark.parametrize("datatype", FIXED, ids=lambda datatype: datatype.value)
def test_raw_buffer_becomes_a_view_of_itself(datatype):
    array = (np.arange(6) % 2).astype(datatype.numpy).reshape(2, 3)
    raw = array.tobytes()

    decoded = decode_raw(WHERE, datatype, (2, 3), raw)

    assert decoded.dtype == datatype.numpy
    np.testing.assert_array_equal(decoded, array)
    assert not decoded.flags.writeable
    assert np.shares_memory(decoded, np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize("datatype", FIXED, ids=lambda datatype: datatype.value)
@pytest.mark.parametrize("surplus", [-1, 1], ids=["short", "long"])
def test_raw_length_must_be_that_of_the_shape(datatype, surplus):
    size = 6 * datatype.numpy.itemsize
    with pytest.raises(InvalidRequest, match=rf"input 'x': expected {size} bytes .*\[2, 3\], got {size + surplus}"):
        decode_raw(WHERE, datatype, (2, 3), bytes(size + surplus))


def test_raw_bool_must_be_0_or_1():
    with pytest.raises(InvalidRequest, match="0 or 1"):
        decode_raw(WHERE, DataType.BOOL, (2,), b"\x01\x02")


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_bytes_elements_survive_the_wire(elements):
    array = np.empty(len(elements), object)
    array[:] = elements

    raw = encode_raw(DataType.BYTES, array)

    assert raw == b"".join(struct.pack("<I", len(element)) + element for element in elements)
    assert decode_raw(WHERE, DataType.BYTES, (len(elements),), raw).tolist() == elements


@pytest.mark.parametrize(
    ("raw", "shape", "message"),
    [
        pytest.param(b"", (1,), "expected 1 BYTES elements", id="no length at all"),
        pytest.param(b"\x01\x00", (1,), "expected 1 BYTES elements", id="half a length"),
        pytest.param(b"\x05\x00\x00\x00abc", (1,), "said to have 5 bytes .* only 3 are left", id="element cut off"),
        pytest.param(b"\xff\xff\xff\xffabc", (1,), "said to have 4294967295 bytes", id="length near 2**32"),
        pytest.param(b"\x00\x00\x00\x00", (2,), "expected 2 BYTES elements", id="too few elements"),
        pytest.param(b"\x04\x00\x00\x00abcd\x00\x00", (2,), "element 1 of 2", id="second length cut off"),
        pytest.param(b"\x00\x00\x00\x00x", (1,), "got 1 bytes more", id="something behind the last"),
        pytest.param(b"\x00" * 4, (2**31 - 1,), "at most 65536 BYTES elements", id="a count that would cost memory"),
        pytest.param(b"\x00" * 4, (60_000,), "at least 4 bytes", id="a count that the buffer cannot hold"),
        pytest.param(b"x", (0,), "got 1 bytes more", id="something where nothing should be"),
    ],
)
def test_malformed_bytes_are_refused(raw, shape, message):
    with pytest.raises(InvalidRequest, match=message):
        decode_raw(WHERE, DataType.BYTES, shape, raw)


@settings(deadline=None)
@given(st.binary(max_size=64), st.integers(0, 8))
def test_no_buffer_of_bytes_elements_crashes(raw, count):
    try:
        decoded = decode_raw(WHERE, DataType.BYTES, (count,), raw)
    except InvalidRequest:
        return
    assert encode_raw(DataType.BYTES, decoded) == raw


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        pytest.param([-1, 3], "not negative", id="a size left open"),
        pytest.param([2**62, 4], "at most 2147483647 elements", id="product overflows 64 bits"),
        pytest.param([2**33], "at most 2147483647 elements", id="more than a message holds"),
        pytest.param([0, 2**62], "at most 2147483647 elements", id="a zero does not hide the rest"),
        pytest.param([1] * 33, "at most 32 dimensions, got 33", id="more dimensions than arrays have"),
    ],
)
def test_impossible_shapes_are_refused(shape, message):
    with pytest.raises(InvalidRequest, match=message):
        decode_shape(WHERE, shape)


@pytest.mark.parametrize("shape", [(), (0,), (1, 0, 3), (2, 3)])
def test_possible_shapes_pass(shape):
    assert decode_shape(WHERE, shape) == shape


@pytest.mark.parametrize("name", ["", "FP8", "fp32", "TYPE_FP32"])
def test_unknown_datatype_is_refused_with_the_known_ones(name):
    with pytest.raises(InvalidRequest, match=rf"input 'x': expected one of .*FP32.*; got '{name}'"):
        decode_datatype(WHERE, name)


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        (DataType.BOOL, "bool_contents", [True, False]),
        (DataType.INT8, "int_contents", [-128, 127]),
        (DataType.INT16, "int_contents", [-32768, 32767]),
        (DataType.INT32, "int_contents", [-(2**31), 2**31 - 1]),
        (DataType.INT64, "int64_contents", [-(2**63), 2**63 - 1]),
        (DataType.UINT8, "uint_contents", [0, 255]),
        (DataType.UINT16, "uint_contents", [0, 65535]),
        (DataType.UINT32, "uint_contents", [0, 2**32 - 1]),
        (DataType.UINT64, "uint64_contents", [0, 2**64 - 1]),
        (DataType.FP32, "fp32_contents", [0.5, float("inf")]),
        (DataType.FP64, "fp64_contents", [1e300, -0.0]),
        (DataType.BYTES, "bytes_contents", [b"", b"abc"]),
    ],
    ids=lambda value: value.value if isinstance(value, DataType) else None,
)
def test_typed_list_of_each_kind(datatype, field, values):
    contents = pb.InferTensorContents(**{field: values})

    decoded = decode_typed(WHERE, datatype, (2, 1), contents)

    assert decoded.shape == (2, 1)
    assert decoded.dtype == datatype.numpy
    assert decoded.ravel().tolist() == values


def test_typed_not_a_number_passes():
    contents = pb.InferTensorContents(fp32_contents=[float("nan")])
    assert np.isnan(decode_typed(WHERE, DataType.FP32, (1,), contents)).all()


@pytest.mark.parametrize(
    ("datatype", "contents", "message"),
    [
        pytest.param(DataType.INT8, {"int_contents": [1, 128]}, "between -128 and 127 .* 1 to 128", id="too large"),
        pytest.param(DataType.UINT16, {"uint_contents": [65536, 0]}, "between 0 and 65535", id="too large, unsigned"),
        pytest.param(DataType.INT32, {"fp32_contents": [1, 2]}, "in int_contents, got data in fp32", id="wrong list"),
        pytest.param(
            DataType.FP32, {"fp32_contents": [1, 2], "fp64_contents": [1]}, "got data in fp64", id="two lists"
        ),
        pytest.param(DataType.FP32, {"fp32_contents": [1]}, "expected 2 elements .*got 1", id="too few"),
        pytest.param(DataType.BYTES, {"bytes_contents": [b""] * 3}, "expected 2 elements .*got 3", id="too many"),
        pytest.param(
            DataType.FP16, {"fp32_contents": [1, 2]}, "FP16 data in raw_input_contents", id="FP16 has no list"
        ),
        pytest.param(
            DataType.BF16, {"fp32_contents": [1, 2]}, "BF16 data in raw_input_contents", id="BF16 has no list"
        ),
    ],
)
def test_typed_list_that_does_not_fit_is_refused(datatype, contents, message):
    with pytest.raises(InvalidRequest, match=message):
        decode_typed(WHERE, datatype, (2,), pb.InferTensorContents(**contents))


@pytest.mark.parametrize("datatype", FIXED, ids=lambda datatype: datatype.value)
def test_arrays_leave_row_major_whatever_their_layout(datatype):
    array = (np.arange(6) % 2).astype(datatype.numpy).reshape(2, 3)
    assert encode_raw(datatype, array.T) == np.ascontiguousarray(array.T).tobytes()


def test_big_endian_arrays_leave_little_endian():
    assert encode_raw(DataType.INT32, np.array([1], ">i4")) == b"\x01\x00\x00\x00"


TYPED = {
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


@st.composite
def tensors(draw, datatypes):
    """A datatype, and an array of it: any shape, no elements included; any values, not-a-number included."""
    datatype = draw(st.sampled_from(datatypes))
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    if datatype is DataType.BYTES:
        return datatype, draw(arrays.arrays(object, shape, elements=st.binary(max_size=9), fill=st.nothing()))
    return datatype, draw(arrays.arrays(datatype.numpy, shape))


@settings(deadline=None)
@given(tensors(list(DataType)))
def test_raw_contents_decode_to_what_was_encoded(tensor):
    datatype, array = tensor
    raw = encode_raw(datatype, array)

    decoded = decode_raw(WHERE, datatype, array.shape, raw)

    assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(decoded, array)
    assert encode_raw(datatype, decoded) == raw, "bit by bit, whichever not-a-number it is"
    assert bytes(view_raw(datatype, array)) == raw
    assert bytes(view_raw(datatype, array.T)) == encode_raw(datatype, array.T)


@settings(deadline=None)
@given(tensors(list(TYPED)))
def test_typed_contents_decode_to_what_was_in_them(tensor):
    datatype, array = tensor
    contents = pb.InferTensorContents(**{TYPED[datatype]: array.ravel().tolist()})
    received = pb.InferTensorContents.FromString(contents.SerializeToString())

    decoded = decode_typed(WHERE, datatype, array.shape, received)

    assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(decoded, array)
    assert has_typed_contents(received) == bool(array.size)


def test_a_view_of_contiguous_elements_is_no_copy():
    array = np.zeros((32, 32), np.float32)
    view = view_raw(DataType.FP32, array)
    array[0, 0] = 9
    assert np.frombuffer(view, np.float32)[0] == 9


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        (DataType.FP32, "fp32_contents", [0.0, -0.0, 1.5, float("inf"), 3.4028234663852886e38]),
        (DataType.FP64, "fp64_contents", [0.0, 1e300, -2.5]),
        (DataType.BOOL, "bool_contents", [True, False, True]),
    ],
    ids=lambda value: value.value if isinstance(value, DataType) else None,
)
def test_lists_that_lie_as_arrays_do_are_taken_as_one_block(datatype, field, values):
    written = pb.InferTensorContents(**{field: values * 1000}).SerializeToString()
    unknown = b"".join(bytes((0x78 + 0x80, 0x06, number & 0x7F)) for number in range(600))  # field 111, 600 times
    contents = pb.InferTensorContents.FromString(unknown + written)
    decoded = decode_typed(WHERE, datatype, (1000, len(values)), contents)
    assert decoded.dtype == datatype.numpy
    assert decoded.tolist() == [values] * 1000
