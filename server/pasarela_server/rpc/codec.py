"""Requests and responses to and from protobuf: the only place that knows both sides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.request import InferRequest, InferResponse
from pasarela_server.rpc.classification import classify
from pasarela_server.rpc.deliveries import (
    PLAIN,
    Delivery,
    Labels,
    decode_deliveries,
    decode_placement,
    describe_placement,
)
from pasarela_server.rpc.parameters import deadline_s, decode_parameters
from pasarela_server.rpc.tensor_codec import (
    check_bytes_elements,
    decode_datatype,
    decode_raw,
    decode_shape,
    decode_typed,
    has_typed_contents,
    view_raw,
)
from pasarela_server.rpc.version import parse_version
from pasarela_server.rpc.wire import Contents
from pasarela_server.shared_memory.regions import Placement, Regions
from pasarela_server.tensor import DataType, Tensor

_CROWD = 1024
_ALL_PLAIN: Mapping[str, Delivery] = MappingProxyType({})
_Input = pb.ModelInferRequest.InferInputTensor


class Decoded(NamedTuple):
    """What a message asks for."""

    request: InferRequest
    deliveries: Mapping[str, Delivery]
    """By name of each requested output, how it shall be delivered."""


def _no_labels(_output: str) -> tuple[str, ...]:
    return ()


def decode_request(
    message: pb.ModelInferRequest,
    raw: Sequence[Contents],
    regions: Regions,
    *,
    now_s: float = 0.0,
    remaining_s: float | None = None,
) -> Decoded:
    """A request from its message.

    Arrays of raw inputs are read-only views of the raw contents. Those of inputs in shared memory are read-only views
    of it, and see what clients write there. Neither need be aligned: whoever executes them sees to that.

    Args:
        message: What the client sent.
        raw: Its raw contents, which are not looked for in the message.
        regions: Where inputs may be instead.
        now_s: The clock of `time.monotonic` now.
        remaining_s: Seconds until the call's deadline; None if it has none.

    Raises:
        InvalidRequest: The message contradicts itself; the text names model and tensor, what was expected and came.
        RegionUnavailable: Memory that holds an input cannot be read.
    """
    model_name = message.model_name
    inputs, outputs, given = message.inputs, message.outputs, message.parameters
    _refuse_crowds(model_name, len(inputs), len(outputs), len(given))
    # From here on lists of Python's own: going through protobuf's costs four times as much.
    parameters = decode_parameters(model_name, given)
    version = parse_version(model_name, message.model_version)
    tensors = _decode_inputs(model_name, inputs[:], raw, regions)
    deliveries = decode_deliveries(model_name, outputs[:], regions) if outputs else _ALL_PLAIN
    request = InferRequest(
        model_name=model_name,
        model_version=version,
        id=message.id,
        inputs=tensors,
        requested_outputs=tuple(deliveries),
        parameters=parameters,
        deadline_monotonic_s=deadline_s(parameters, now_s, remaining_s),
    )
    return Decoded(request, deliveries)


def _refuse_crowds(model_name: str, inputs: int, outputs: int, parameters: int) -> None:
    """No model has so many of anything, and each costs time on the event loop."""
    if inputs <= _CROWD and outputs <= _CROWD and parameters <= _CROWD:
        return
    for what, count in (("inputs", inputs), ("outputs", outputs), ("parameters", parameters)):
        if count > _CROWD:
            raise InvalidRequest(f"model '{model_name}': expected at most {_CROWD} {what}, got {count}")


def _decode_inputs(
    model_name: str, tensors: Sequence[_Input], raw: Sequence[Contents], regions: Regions
) -> tuple[Tensor, ...]:
    if len(tensors) > 1:
        _refuse_repeats(model_name, [tensor.name for tensor in tensors])
    placements = [
        decode_placement(f"model '{model_name}', input '{tensor.name}'", tensor.parameters, regions)
        if tensor.parameters
        else None
        for tensor in tensors
    ]
    here = placements.count(None)
    if raw and len(raw) != here:
        elsewhere = len(placements) - here
        shared = f" ({elsewhere} more are in shared memory)" if elsewhere else ""
        raise InvalidRequest(
            f"model '{model_name}': expected one raw_input_contents for each of {here} inputs{shared}, got {len(raw)}"
        )
    if len(tensors) > 1:
        _refuse_long_texts(model_name, tensors)
    buffers = iter(raw)
    return tuple(
        [
            _decode_input(model_name, tensor, next(buffers, None))
            if placement is None
            else _decode_shared(model_name, tensor, placement)
            for tensor, placement in zip(tensors, placements, strict=True)
        ]
    )


def _refuse_repeats(model_name: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        name, count = Counter(names).most_common(1)[0]
        raise InvalidRequest(f"model '{model_name}', input '{name}': expected once, got {count} times")


def _refuse_long_texts(model_name: str, tensors: Sequence[_Input]) -> None:
    """What one input of BYTES may hold at most, all of them together may."""
    texts = [tensor for tensor in tensors if tensor.datatype == DataType.BYTES.on_wire]
    if len(texts) > 1:
        shapes = [decode_shape(f"model '{model_name}', input '{tensor.name}'", tensor.shape) for tensor in texts]
        together = sum(map(math.prod, shapes))
        check_bytes_elements(f"model '{model_name}', all inputs together", together)


def _decode_input(model_name: str, tensor: _Input, raw: Contents | None) -> Tensor:
    name = tensor.name
    where = f"model '{model_name}', input '{name}'"
    datatype = decode_datatype(where, tensor.datatype)
    shape = decode_shape(where, tensor.shape)
    typed = tensor.HasField("contents") and has_typed_contents(tensor.contents)
    if raw is not None and typed:
        raise InvalidRequest(f"{where}: expected data in contents or in raw_input_contents, got both")
    if raw is not None:
        return Tensor(name, datatype, decode_raw(where, datatype, shape, raw))
    if not typed and 0 not in shape:
        raise InvalidRequest(f"{where}: expected {datatype.value} data of shape {list(shape)}, got no data")
    return Tensor(name, datatype, decode_typed(where, datatype, shape, tensor.contents))


def _decode_shared(model_name: str, tensor: _Input, placement: Placement) -> Tensor:
    where = f"model '{model_name}', input '{tensor.name}'"
    datatype = decode_datatype(where, tensor.datatype)
    shape = decode_shape(where, tensor.shape)
    if tensor.HasField("contents") and has_typed_contents(tensor.contents):
        raise InvalidRequest(f"{where}: expected data in contents or in shared memory, got both")
    return Tensor(tensor.name, datatype, decode_raw(where, datatype, shape, placement.read()))


def encode_response(
    response: InferResponse,
    message: pb.ModelInferResponse,
    deliveries: Mapping[str, Delivery] = _ALL_PLAIN,
    *,
    labels: Labels = _no_labels,
    batched: bool = False,
) -> list[Contents]:
    """Fills an empty message with a response, but for the raw contents; leaves it as it is if that fails.

    Args:
        response: What the model answered.
        message: What is sent.
        deliveries: By output, what the request asked for; the others are raw contents.
        labels: Names of an output's classes, asked for where they are wanted.
        batched: Whether the outputs' first dimension is the batch.

    Returns:
        The raw contents: every output has its place among them; an empty one if it was put into shared memory. They
        are views of the response's arrays where those lie in memory as on the wire.

    Raises:
        InvalidRequest: An output does not fit where it shall be put, or has no classes.
        RegionUnavailable: Memory cannot be written.
    """
    delivered = [
        _deliver(response.model_name, tensor, deliveries.get(tensor.name, PLAIN), labels, batched=batched)
        for tensor in response.outputs
    ]
    message.model_name = response.model_name
    message.model_version = str(response.model_version)
    message.id = response.id
    for tensor, (datatype, shape, contents, placement) in zip(response.outputs, delivered, strict=True):
        output = message.outputs.add(name=tensor.name, datatype=datatype.on_wire, shape=shape)
        if placement is not None:
            for name, parameter in describe_placement(placement, len(contents)).items():
                output.parameters[name].CopyFrom(parameter)
    return [contents if placement is None else b"" for _, _, contents, placement in delivered]


def _deliver(
    model_name: str, tensor: Tensor, delivery: Delivery, labels: Labels, *, batched: bool
) -> tuple[DataType, tuple[int, ...], Contents, Placement | None]:
    """What is said of an output, its contents, and where these have been put; None if they are to be sent."""
    datatype, array = tensor.datatype, tensor.array
    if delivery is PLAIN:
        return datatype, array.shape, view_raw(datatype, array), None
    where, placement = f"model '{model_name}', output '{tensor.name}'", delivery.placement
    if delivery.classes:
        array = classify(where, datatype, array, delivery.classes, labels(tensor.name), batched=batched)
        datatype = DataType.BYTES
    contents = view_raw(datatype, array)
    if placement is not None:
        placement.write(where, contents)
    return datatype, array.shape, contents, placement
