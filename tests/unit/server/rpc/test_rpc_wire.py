"""Large fields taken out of protobuf's wire format by hand: whatever comes, protobuf must agree."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from pasarela_proto import inference_pb2 as pb
from pasarela_server.rpc.wire import encode_varint, fields, split_off

RAW = pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER

texts = st.text(max_size=8)
parameters = st.dictionaries(
    texts,
    st.one_of(
        st.builds(pb.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
        st.builds(pb.InferParameter, double_param=st.floats(allow_nan=False)),
        st.builds(pb.InferParameter, string_param=texts),
    ),
    max_size=3,
)
inputs = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=texts,
    datatype=texts,
    shape=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    contents=st.builds(
        pb.InferTensorContents,
        fp32_contents=st.lists(st.floats(width=32, allow_nan=False), max_size=3),
        bytes_contents=st.lists(st.binary(max_size=3), max_size=3),
    ),
)
requests = st.builds(
    pb.ModelInferRequest,
    model_name=texts,
    id=texts,
    parameters=parameters,
    inputs=st.lists(inputs, max_size=3),
    raw_input_contents=st.lists(st.binary(max_size=300), max_size=4),
).map(lambda message: message.SerializeToString())
varints = st.integers(0, 2**64 - 1).map(encode_varint)
unknown = st.one_of(
    varints.map(lambda value: encode_varint(100 << 3) + value),
    st.binary(min_size=4, max_size=4).map(lambda value: encode_varint(101 << 3 | 5) + value),
    st.binary(min_size=8, max_size=8).map(lambda value: encode_varint(102 << 3 | 1) + value),
    st.binary(max_size=9).map(lambda value: b"".join(fields(103, [value]))),
    varints.map(lambda value: encode_varint(RAW << 3) + value),
)
raw_fields = st.binary(max_size=300).map(lambda value: b"".join(fields(RAW, [value])))


def parsed(serialized):
    """The message, or None if protobuf takes it for none."""
    try:
        return pb.ModelInferRequest.FromString(serialized)
    except DecodeError:
        return None


def agrees(serialized):
    """Whether the split, if there is one, says what protobuf says; and whether there is one."""
    whole, split = parsed(serialized), split_off(serialized, RAW)
    if split is None:
        return False
    rest, values = split
    message = parsed(rest)
    assert (message is None) == (whole is None)
    if message is not None:
        assert not message.raw_input_contents
        message.raw_input_contents.extend(map(bytes, values))
        assert message.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)
    return True


@given(st.lists(st.one_of(requests, unknown, raw_fields), max_size=5))
def test_whatever_protobuf_writes_is_split_as_protobuf_reads_it(pieces):
    assert agrees(b"".join(pieces)), "fields in any order, unknown ones among them"


@given(st.lists(st.one_of(requests, unknown, raw_fields), max_size=4), st.data())
def test_messages_that_were_changed_are_read_as_protobuf_reads_them(pieces, data):
    changed = bytearray(b"".join(pieces))
    for _ in range(data.draw(st.integers(1, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    agrees(bytes(changed[: data.draw(st.integers(0, len(changed)))]))


@given(st.binary(max_size=60))
@example(b"\x3a\x05ab")
def test_any_bytes_are_read_as_protobuf_reads_them(serialized):
    agrees(serialized)


@pytest.mark.parametrize(
    "serialized",
    [
        pytest.param(b"\x3a", id="a tag without a value"),
        pytest.param(b"\x3a\x05ab", id="a value that ends too soon"),
        pytest.param(b"\x3a\xff\xff\xff\xff\xff\x01ab", id="a length of more than five bytes"),
        pytest.param(b"\x3a\xff\xff\xff\xff\x7fab", id="a length beyond any message"),
        pytest.param(b"\x00\x01", id="field zero"),
        pytest.param(b"\x0b\x0c", id="a group, which nobody writes any more"),
        pytest.param(b"\x0f", id="a kind of value that there is not"),
        pytest.param(b"\x80" * 11, id="a number without an end"),
        pytest.param(b"\xba\x80\x80\x80\x80\x00\x01a", id="a tag of more than five bytes"),
        pytest.param(b"\x10\x01" * 300, id="more fields than are looked at"),
    ],
)
def test_what_is_unusual_is_left_to_protobuf(serialized):
    assert split_off(serialized, RAW) is None


def test_values_are_views_and_the_rest_is_without_them():
    large = bytes(range(256)) * 256
    serialized = pb.ModelInferRequest(model_name="m", raw_input_contents=[large, b""], id="r").SerializeToString()
    rest, values = split_off(serialized, RAW)
    assert [value.obj is serialized for value in values] == [True, True]
    assert values == [large, b""]
    assert rest == pb.ModelInferRequest(model_name="m", id="r").SerializeToString()


@given(st.lists(st.binary(max_size=300)))
def test_fields_are_written_as_protobuf_writes_them(values):
    assert b"".join(fields(RAW, values)) == pb.ModelInferRequest(raw_input_contents=values).SerializeToString()
