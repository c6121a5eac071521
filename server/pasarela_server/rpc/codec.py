"""Requests and responses to and from protobuf: the only place that knows both sides."""

from __future__ import annotations

from collections import Counter

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.request import InferRequest, InferResponse
from pasarela_server.rpc.parameters import deadline_s, decode_parameters, refuse_tensor_parameters
from pasarela_server.rpc.tensor_codec import (
    decode_datatype,
    decode_raw,
    decode_shape,
    decode_typed,
    encode_raw,
    has_typed_contents,
)
from pasarela_server.rpc.version import parse_version
from pasarela_server.tensor import Tensor

_CROWD = 1024


def decode_request(
    message: pb.ModelInferRequest, *, now_s: float = 0.0, remaining_s: float | None = None
) -> InferRequest:
    """A request from its message.

    Arrays of raw inputs are read-only views of the bytes that protobuf hands out: the one copy is protobuf's own.

    Args:
        message: What the client sent.
        now_s: The clock of `time.monotonic` now.
        remaining_s: Seconds until the call's deadline; None if it has none.

    Raises:
        InvalidRequest: The message contradicts itself; the text names model and input, what was expected and came.
        Unsupported: It asks for shared memory or classification.
    """
    model_name = message.model_name
    _refuse_crowds(message)
    parameters = decode_parameters(model_name, message.parameters)
    for output in message.outputs:
        refuse_tensor_parameters(f"model '{model_name}', output '{output.name}'", output.parameters)
    return InferRequest(
        model_name=model_name,
        model_version=parse_version(model_name, message.model_version),
        id=message.id,
        inputs=_decode_inputs(message),
        requested_outputs=tuple(output.name for output in message.outputs),
        parameters=parameters,
        deadline_monotonic_s=deadline_s(parameters, now_s, remaining_s),
    )


def _refuse_crowds(message: pb.ModelInferRequest) -> None:
    """No model has so many of anything, and each costs time on the event loop."""
    for what, count in (
        ("inputs", len(message.inputs)),
        ("outputs", len(message.outputs)),
        ("parameters", len(message.parameters)),
    ):
        if count > _CROWD:
            raise InvalidRequest(f"model '{message.model_name}': expected at most {_CROWD} {what}, got {count}")


def _decode_inputs(message: pb.ModelInferRequest) -> tuple[Tensor, ...]:
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidRequest(
            f"model '{message.model_name}': expected one raw_input_contents for each of {len(message.inputs)} inputs, "
            f"got {len(raw)}"
        )
    for name, count in Counter(tensor.name for tensor in message.inputs).items():
        if count > 1:
            raise InvalidRequest(f"model '{message.model_name}', input '{name}': expected once, got {count} times")
    return tuple(
        _decode_input(message.model_name, tensor, raw[index] if raw else None)
        for index, tensor in enumerate(message.inputs)
    )


def _decode_input(model_name: str, tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> Tensor:
    where = f"model '{model_name}', input '{tensor.name}'"
    refuse_tensor_parameters(where, tensor.parameters)
    datatype = decode_datatype(where, tensor.datatype)
    shape = decode_shape(where, tensor.shape)
    typed = has_typed_contents(tensor.contents)
    if raw is not None and typed:
        raise InvalidRequest(f"{where}: expected data in contents or in raw_input_contents, got both")
    if raw is not None:
        return Tensor(tensor.name, datatype, decode_raw(where, datatype, shape, raw))
    if not typed and 0 not in shape:
        raise InvalidRequest(f"{where}: expected {datatype.value} data of shape {list(shape)}, got no data")
    return Tensor(tensor.name, datatype, decode_typed(where, datatype, shape, tensor.contents))


def encode_response(response: InferResponse) -> pb.ModelInferResponse:
    """The message of a response, its outputs as raw contents."""
    message = pb.ModelInferResponse(
        model_name=response.model_name, model_version=str(response.model_version), id=response.id
    )
    for tensor in response.outputs:
        message.outputs.add(name=tensor.name, datatype=tensor.datatype.value, shape=tensor.array.shape)
        message.raw_output_contents.append(encode_raw(tensor.datatype, tensor.array))
    return message
