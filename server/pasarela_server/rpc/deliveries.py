"""How each output shall be delivered, and where inputs are: what parameters of tensors ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import InvalidRequest
from pasarela_server.rpc.parameters import tensor_count, tensor_text
from pasarela_server.shared_memory.regions import Placement, Regions

_REGION, _BYTE_SIZE, _OFFSET = "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"
_CLASSIFICATION = "classification"

Parameters = Mapping[str, pb.InferParameter]
Output = pb.ModelInferRequest.InferRequestedOutputTensor
Labels = Callable[[str], tuple[str, ...]]
"""Names of an output's classes; empty if there are none."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one output shall be delivered: into shared memory, as classes, or neither: then in the answer as it is."""

    placement: Placement | None = None
    classes: int = 0


PLAIN = Delivery()


def decode_placement(where: str, parameters: Parameters, regions: Regions) -> Placement | None:
    """Where a tensor is, or shall be put; None if it is not in shared memory.

    Raises:
        InvalidRequest: A parameter is missing or has the wrong type, or there is no such range.
    """
    asked = [name for name in (_REGION, _BYTE_SIZE, _OFFSET) if name in parameters]
    if not asked:
        return None
    for needed in (_REGION, _BYTE_SIZE):
        if needed not in parameters:
            raise InvalidRequest(f"{where}: expected parameter '{needed}' beside '{asked[0]}'; it is missing")
    return regions.place(
        where,
        tensor_text(where, _REGION, parameters[_REGION]),
        tensor_count(where, _OFFSET, parameters[_OFFSET]) if _OFFSET in parameters else 0,
        tensor_count(where, _BYTE_SIZE, parameters[_BYTE_SIZE]),
    )


def decode_deliveries(model_name: str, outputs: Iterable[Output], regions: Regions) -> dict[str, Delivery]:
    """How the outputs that a request names shall be delivered, in the order in which it first names them.

    Raises:
        InvalidRequest: Parameters contradict each other, have the wrong type, or name no registered memory.
    """
    deliveries: dict[str, Delivery] = {}
    for output in outputs:
        name, parameters = output.name, output.parameters
        where = f"model '{model_name}', output '{name}'"
        delivery = _delivery(where, parameters, regions) if parameters else PLAIN
        first = deliveries.setdefault(name, delivery)
        if first is not delivery and first != delivery:
            raise InvalidRequest(f"{where}: expected once, got it twice with different parameters")
    return deliveries


def _delivery(where: str, parameters: Parameters, regions: Regions) -> Delivery:
    placement = decode_placement(where, parameters, regions)
    if _CLASSIFICATION not in parameters:
        return Delivery(placement)
    classes = tensor_count(where, _CLASSIFICATION, parameters[_CLASSIFICATION], minimum=1)
    if placement is not None:
        raise InvalidRequest(f"{where}: expected shared memory or parameter '{_CLASSIFICATION}', got both")
    return Delivery(classes=classes)


def describe_placement(placement: Placement, byte_size: int) -> dict[str, pb.InferParameter]:
    """The parameters with which an answer says where an output is, and how long it really is."""
    parameters = {
        _REGION: pb.InferParameter(string_param=placement.region.name),
        _BYTE_SIZE: pb.InferParameter(int64_param=byte_size),
    }
    if placement.offset:
        parameters[_OFFSET] = pb.InferParameter(int64_param=placement.offset)
    return parameters
