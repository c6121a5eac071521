"""Requests and responses to and from protobuf: the only place that knows both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.request import InferRequest, InferResponse
from pasarela_server.rpc.classification import classify
from pasarela_server.rpc.deliveries import PLAIN, Delivery, Labels, decode_placement, describe_placement
from pasarela_server.rpc.parameters import deadline_s, decode_parameters
from pasarela_server.rpc.tensor_codec import (
    decode_datatype,
    decode_raw,
    decode_shape,
    decode_typed,
    encode_raw,
    has_typed_contents,
    view_raw,
)
from pasarela_server.rpc.version import parse_version
from pasarela_server.shared_memory.regions import Placement, Regions
from pasarela_server.tensor import DataType, Tensor

_CROWD = 1024
_ALL_PLAIN: Mapping[str, Delivery] = MappingProxyType({})
_Input = pb.ModelInferRequest.InferInputTensor
_Output = pb.ModelInferResponse.InferOutputTensor


def _no_labels(_output: str) -> tuple[str, ...]:
    return ()


def decode_request(
    message: pb.ModelInferRequest, regions: Regions, *, now_s: float = 0.0, remaining_s: float | None = None
) -> InferRequest:
    """A request from its message.

    Arrays of raw inputs are read-only views of the bytes that protobuf hands out: the one copy is protobuf's own.
    Those of inputs in shared memory are read-only views of it, and see what clients write there.

    Args:
        message: What the client sent.
        regions: Where inputs may be instead.
        now_s: The clock of `time.monotonic` now.
        remaining_s: Seconds until the call's deadline; None if it has none.

    Raises:
        InvalidRequest: The message contradicts itself; the text names model and input, what was expected and came.
        RegionUnavailable: Memory that holds an input cannot be read.
    """
    model_name = message.model_name
    _refuse_crowds(message)
    parameters = decode_parameters(model_name, message.parameters)
    return InferRequest(
        model_name=model_name,
        model_version=parse_version(model_name, message.model_version),
        id=message.id,
        inputs=_decode_inputs(message, regions),
        requested_outputs=tuple(dict.fromkeys(output.name for output in message.outputs)),
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


def _decode_inputs(message: pb.ModelInferRequest, regions: Regions) -> tuple[Tensor, ...]:
    for name, count in Counter(tensor.name for tensor in message.inputs).items():
        if count > 1:
            raise InvalidRequest(f"model '{message.model_name}', input '{name}': expected once, got {count} times")
    placements = [
        decode_placement(f"model '{message.model_name}', input '{tensor.name}'", tensor.parameters, regions)
        if tensor.parameters
        else None
        for tensor in message.inputs
    ]
    elsewhere = sum(placement is not None for placement in placements)
    raw = message.raw_input_contents
    if raw and len(raw) != len(placements) - elsewhere:
        shared = f" ({elsewhere} more are in shared memory)" if elsewhere else ""
        raise InvalidRequest(
            f"model '{message.model_name}': expected one raw_input_contents for each of "
            f"{len(placements) - elsewhere} inputs{shared}, got {len(raw)}"
        )
    buffers = iter(raw)
    return tuple(
        _decode_input(message.model_name, tensor, next(buffers, None))
        if placement is None
        else _decode_shared(message.model_name, tensor, placement)
        for tensor, placement in zip(message.inputs, placements, strict=True)
    )


def _decode_input(model_name: str, tensor: _Input, raw: bytes | None) -> Tensor:
    where = f"model '{model_name}', input '{tensor.name}'"
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


def _decode_shared(model_name: str, tensor: _Input, placement: Placement) -> Tensor:
    where = f"model '{model_name}', input '{tensor.name}'"
    datatype = decode_datatype(where, tensor.datatype)
    shape = decode_shape(where, tensor.shape)
    if has_typed_contents(tensor.contents):
        raise InvalidRequest(f"{where}: expected data in contents or in shared memory, got both")
    return Tensor(tensor.name, datatype, decode_raw(where, datatype, shape, placement.read()))


def encode_response(
    response: InferResponse,
    message: pb.ModelInferResponse,
    deliveries: Mapping[str, Delivery] = _ALL_PLAIN,
    *,
    labels: Labels = _no_labels,
    batched: bool = False,
) -> None:
    """Fills an empty message with a response; leaves it as it is if that fails.

    Every output has its place among the raw contents; an empty one if it was put into shared memory.

    Args:
        response: What the model answered.
        message: What is sent.
        deliveries: By output, what the request asked for; the others are raw contents.
        labels: Names of an output's classes, asked for where they are wanted.
        batched: Whether the outputs' first dimension is the batch.

    Raises:
        InvalidRequest: An output does not fit where it shall be put, or has no classes.
        RegionUnavailable: Memory cannot be written.
    """
    where = f"model '{response.model_name}', output"
    delivered = [
        _deliver(f"{where} '{tensor.name}'", tensor, deliveries.get(tensor.name, PLAIN), labels, batched=batched)
        for tensor in response.outputs
    ]
    message.model_name = response.model_name
    message.model_version = str(response.model_version)
    message.id = response.id
    for output, contents in delivered:
        message.outputs.append(output)
        message.raw_output_contents.append(contents)


def _deliver(where: str, tensor: Tensor, delivery: Delivery, labels: Labels, *, batched: bool) -> tuple[_Output, bytes]:
    """What is said of an output, and its raw contents."""
    datatype, array = tensor.datatype, tensor.array
    if delivery.classes:
        array = classify(where, datatype, array, delivery.classes, labels(tensor.name), batched=batched)
        datatype = DataType.BYTES
    output = pb.ModelInferResponse.InferOutputTensor(name=tensor.name, datatype=datatype.value, shape=array.shape)
    if delivery.placement is None:
        return output, encode_raw(datatype, array)
    contents = view_raw(datatype, array)
    delivery.placement.write(where, contents)
    for name, parameter in describe_placement(delivery.placement, len(contents)).items():
        output.parameters[name].CopyFrom(parameter)
    return output, b""
