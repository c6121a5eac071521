"""Parameters: kinds, reserved names, fixed types, and the deadline that follows."""

import pytest

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.rpc.parameters import deadline_s, decode_parameters


def decode(**parameters):
    return decode_parameters("m", {name: pb.InferParameter(**value) for name, value in parameters.items()})


def test_each_kind_passes_through():
    decoded = decode(
        a={"bool_param": False},
        b={"int64_param": -1},
        c={"string_param": ""},
        d={"double_param": 0.5},
        e={"uint64_param": 2**64 - 1},
    )
    assert decoded == {"a": False, "b": -1, "c": "", "d": 0.5, "e": 2**64 - 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", {"int64_param": 0}),
        ("timeout", {"uint64_param": 5}),
        ("priority", {"uint64_param": 1}),
        ("priority", {"int64_param": 2}),
        ("sequence_id", {"string_param": "s"}),
        ("sequence_id", {"int64_param": 4}),
        ("sequence_start", {"bool_param": True}),
        ("triton_enable_empty_final_response", {"bool_param": True}),
    ],
)
def test_known_names_with_their_types(name, value):
    assert decode(**{name: value}) == {name: next(iter(value.values()))}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param("x", {}, "parameter 'x': it has no value", id="no value"),
        pytest.param("timeout", {"string_param": "5"}, "expected an int64 .* got a string", id="timeout as text"),
        pytest.param("timeout", {"int64_param": -5}, "not negative, got an int64 of -5", id="negative timeout"),
        pytest.param("timeout", {"bool_param": True}, "got a bool", id="timeout as bool"),
        pytest.param("priority", {"double_param": 1.0}, "got a double", id="priority as double"),
        pytest.param("sequence_start", {"int64_param": 1}, "expected a bool, got an int64", id="flag as number"),
        pytest.param("sequence_id", {"bool_param": True}, "expected an int64, a uint64 or a string", id="id as bool"),
        pytest.param("triton_final_response", {"bool_param": True}, "'triton_' are reserved", id="reserved"),
        pytest.param("triton_", {"bool_param": True}, "'triton_' are reserved", id="the prefix alone"),
    ],
)
def test_refused(name, value, message):
    with pytest.raises(InvalidRequest, match=f"model 'm', parameter '{name}'.*") as refusal:
        decode(**{name: value})
    assert refusal.match(message)


@pytest.mark.parametrize(
    ("parameters", "remaining_s", "expected"),
    [
        pytest.param({}, None, None, id="waits for ever"),
        pytest.param({"timeout": 0}, None, None, id="0 means none"),
        pytest.param({}, 2.0, 102.0, id="the call's deadline"),
        pytest.param({"timeout": 500_000}, None, 100.5, id="timeout in microseconds"),
        pytest.param({"timeout": 500_000}, 2.0, 100.5, id="the sooner: timeout"),
        pytest.param({"timeout": 500_000}, 0.25, 100.25, id="the sooner: call"),
    ],
)
def test_deadline(parameters, remaining_s, expected):
    assert deadline_s(parameters, 100.0, remaining_s) == expected
