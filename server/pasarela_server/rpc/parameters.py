"""Parameters of a request: what is reserved, what has a fixed type, what passes through."""

from __future__ import annotations

from collections.abc import Mapping

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.request import ParameterValue

_RESERVED = "triton_"
_ACCEPTED_RESERVED = frozenset({"triton_enable_empty_final_response"})
_COUNTS = frozenset({"timeout", "priority"})
_FLAGS = frozenset({"sequence_start", "sequence_end", "timings", "triton_enable_empty_final_response"})

_KINDS = {
    "bool_param": "a bool",
    "int64_param": "an int64",
    "string_param": "a string",
    "double_param": "a double",
    "uint64_param": "a uint64",
}


def decode_parameters(model_name: str, parameters: Mapping[str, pb.InferParameter]) -> dict[str, ParameterValue]:
    """The parameters of a request as plain values.

    Raises:
        InvalidRequest: A parameter has no value, a reserved name, or not the type that its name asks for.
    """
    values: dict[str, ParameterValue] = {}
    if not parameters:
        return values  # asking is cheaper than going through none
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidRequest(f"model '{model_name}', parameter '{name}': it has no value")
        if name.startswith(_RESERVED) and name not in _ACCEPTED_RESERVED:
            raise InvalidRequest(
                f"model '{model_name}', parameter '{name}': names that begin with '{_RESERVED}' are reserved"
            )
        value: ParameterValue = getattr(parameter, kind)
        _check_type(model_name, name, kind, value)
        values[name] = value
    return values


def _check_type(model_name: str, name: str, kind: str, value: ParameterValue) -> None:
    if name in _COUNTS and (kind not in {"int64_param", "uint64_param"} or int(value) < 0):
        expected = "an int64 or uint64 that is not negative"
    elif name in _FLAGS and kind != "bool_param":
        expected = "a bool"
    elif name == "sequence_id" and kind not in {"int64_param", "uint64_param", "string_param"}:
        expected = "an int64, a uint64 or a string"
    else:
        return
    raise InvalidRequest(
        f"model '{model_name}', parameter '{name}': expected {expected}, got {_KINDS[kind]}"
        + (f" of {value}" if kind == "int64_param" else "")
    )


def tensor_text(where: str, name: str, parameter: pb.InferParameter) -> str:
    """A parameter of an input or output that must be a string with something in it.

    Raises:
        InvalidRequest: It is another kind, or empty.
    """
    kind = parameter.WhichOneof("parameter_choice")
    if kind != "string_param" or not parameter.string_param:
        raise InvalidRequest(f"{where}, parameter '{name}': expected a string that is not empty, got {_came(kind)}")
    return parameter.string_param


def tensor_count(where: str, name: str, parameter: pb.InferParameter, *, minimum: int = 0) -> int:
    """A parameter of an input or output that must be an int64 or uint64 of at least `minimum`.

    Raises:
        InvalidRequest: It is another kind, or less.
    """
    kind = parameter.WhichOneof("parameter_choice")
    value = getattr(parameter, kind) if kind in {"int64_param", "uint64_param"} else None
    if value is None or value < minimum:
        raise InvalidRequest(
            f"{where}, parameter '{name}': expected an int64 of at least {minimum}, got {_came(kind)}"
            + ("" if value is None else f" of {value}")
        )
    return int(value)


def _came(kind: str | None) -> str:
    return "no value" if kind is None else _KINDS[kind]


def deadline_s(parameters: Mapping[str, ParameterValue], now_s: float, remaining_s: float | None) -> float | None:
    """When the client stops waiting: the sooner of the call's deadline and of the `timeout` parameter.

    Triton ignores `timeout` unless the model allows it; here it always counts. 0 means none.

    Args:
        parameters: Decoded parameters; `timeout` is in microseconds.
        now_s: The clock now.
        remaining_s: Seconds that the call may still take; None if it has no deadline.

    Returns:
        A time on the clock of `now_s`, or None.
    """
    limits = [] if remaining_s is None else [remaining_s]
    timeout_us = parameters.get("timeout", 0)
    if isinstance(timeout_us, int) and timeout_us > 0:
        limits.append(timeout_us / 1e6)
    return now_s + min(limits) if limits else None
