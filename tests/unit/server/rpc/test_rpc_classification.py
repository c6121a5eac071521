"""The best of an output as text: order, format, labels, shapes, and what has no order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pasarela_server.errors import InvalidRequest
from pasarela_server.rpc.classification import MAX_CLASSES, classify
from pasarela_server.tensor import DataType

WHERE = "model 'm', output 'y'"


def texts(array, count, labels=(), datatype=DataType.FP32, batched=True):
    found = classify(WHERE, datatype, np.asarray(array, datatype.numpy), count, labels, batched=batched)
    return np.vectorize(bytes.decode, otypes=[object])(found).tolist() if found.size else found.tolist()


def test_the_best_first_with_six_digits_index_and_label():
    assert texts([[0.1, 0.9, 0.5]], 2, ("a", "b", "c")) == [["0.900000:1:b", "0.500000:2:c"]]


@pytest.mark.parametrize(
    ("array", "count", "labels", "batched", "expected"),
    [
        pytest.param([[1, 2], [4, 3]], 1, (), True, [["2.000000:1"], ["4.000000:0"]], id="each row on its own"),
        pytest.param([1, 3, 2], 2, (), False, ["3.000000:1", "2.000000:2"], id="no batch dimension"),
        pytest.param([[1, 3], [2, 4]], 2, (), False, ["4.000000:3", "3.000000:1"], id="no batch: all is one row"),
        pytest.param([[[1, 3], [2, 4]]], 2, (), True, [["4.000000:3", "3.000000:1"]], id="a row of two dimensions"),
        pytest.param([[1, 2]], 9, (), True, [["2.000000:1", "1.000000:0"]], id="no more than there are"),
        pytest.param([[5, 5, 5]], 3, (), True, [["5.000000:0", "5.000000:1", "5.000000:2"]], id="equals in order"),
        pytest.param([[1, 2]], 1, ("a",), True, [["2.000000:1"]], id="fewer labels than classes"),
        pytest.param([[1, 2]], 1, ("a", "b", "c"), True, [["2.000000:1"]], id="more labels than classes"),
        pytest.param([[1, 2]], 1, ("a", "x:y"), True, [["2.000000:1:x:y"]], id="a label with a colon"),
        pytest.param([[np.nan, 1]], 2, (), True, [["1.000000:1", "nan:0"]], id="not-a-number is last"),
        pytest.param([[-np.inf, np.inf]], 2, (), True, [["inf:1", "-inf:0"]], id="infinities"),
        pytest.param([[1e-9, -1.5]], 2, (), True, [["0.000000:0", "-1.500000:1"]], id="small and negative"),
        pytest.param(7, 3, (), False, ["7.000000:0"], id="a single number"),
        pytest.param([[1], [2]], 3, ("a",), True, [["1.000000:0:a"], ["2.000000:0:a"]], id="one class"),
        pytest.param(np.zeros((2, 0)), 3, (), True, [], id="no classes at all"),
        pytest.param(np.zeros((0, 3)), 3, (), True, [], id="no rows"),
    ],
)
def test_rows_counts_and_labels(array, count, labels, batched, expected):
    assert texts(array, count, labels, batched=batched) == expected


@pytest.mark.parametrize(
    ("datatype", "array", "expected"),
    [
        (DataType.UINT8, [[200, 255]], "255:1"),
        (DataType.INT8, [[-128, -1]], "-1:1"),
        (DataType.UINT64, [[1, 2**64 - 1]], "18446744073709551615:1"),
        (DataType.INT64, [[-(2**63), 2**63 - 1]], "9223372036854775807:1"),
        (DataType.FP16, [[0.25, 0.5]], "0.500000:1"),
        (DataType.FP64, [[0.1, 1 / 3]], "0.333333:1"),
        (DataType.BF16, [[0x3E80, 0x3F00]], "0.500000:1"),
        (DataType.BF16, [[0x3F00, 0xBF80]], "0.500000:0"),
    ],
    ids=lambda value: value.value if isinstance(value, DataType) else None,
)
def test_numbers_of_each_kind(datatype, array, expected):
    assert texts(array, 1, datatype=datatype) == [[expected]]


@pytest.mark.parametrize("datatype", [DataType.BYTES, DataType.BOOL], ids=lambda datatype: datatype.value)
def test_what_is_no_number_is_refused(datatype):
    with pytest.raises(InvalidRequest, match=f"^{WHERE}: expected an output of numbers .*{datatype.value}"):
        texts([[b"", b""]] if datatype is DataType.BYTES else [[0, 1]], 1, datatype=datatype)


def test_more_texts_than_an_answer_may_have_are_refused():
    rows = np.zeros((2, MAX_CLASSES), np.float32)
    with pytest.raises(InvalidRequest, match=f"at most {MAX_CLASSES} classifications, got 2 rows of {MAX_CLASSES}"):
        classify(WHERE, DataType.FP32, rows, MAX_CLASSES, (), batched=True)


@settings(deadline=None)
@given(
    arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=3, max_side=12), elements=st.floats(width=32)),
    st.integers(1, 20),
)
def test_values_are_the_sorted_rows_and_indices_lead_to_them(array, count):
    found = classify(WHERE, DataType.FP32, array, count, (), batched=True)

    rows = array.reshape(len(array), -1)
    best = -np.sort(-rows, axis=1)[:, :count]  # not-a-number sorts last, either way
    assert found.shape == best.shape
    for row, values, said in zip(rows, best, found, strict=True):
        indices = [int(text.split(b":")[1]) for text in said]
        assert len(set(indices)) == len(indices)
        np.testing.assert_array_equal(row[indices], values)
        assert [text.split(b":")[0].decode() for text in said] == [f"{value:f}" for value in row[indices]]
