"""Refuses at the door what does not fit the model, before it costs anything. Pure."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from pasarela_server.config.model import ModelConfig
from pasarela_server.errors import InvalidRequest
from pasarela_server.request import InferRequest
from pasarela_server.tensor import Tensor, TensorSpec

_NAME = operator.attrgetter("name")


def check_request(config: ModelConfig, request: InferRequest) -> int:
    """Checks names, types and shapes of a request against the model.

    Returns:
        Its rows: the size of the batch dimension, or 1 if the model has none.

    Raises:
        InvalidRequest: Something does not fit; the message names model, tensor, expected and actual.
    """
    tensors = _in_order(config, request.inputs)
    if request.requested_outputs:
        _check_outputs(config, request.requested_outputs)
    batched = config.max_batch_size > 0
    for spec, tensor in zip(config.inputs, tensors, strict=True):
        _check_tensor(config, spec, tensor, batched=batched)
    return _rows(config, request.inputs) if batched else 1


def _in_order(config: ModelConfig, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """A tensor for each of the model's inputs, in their order."""
    expected = list(map(_NAME, config.inputs))
    came = list(map(_NAME, tensors))
    if came == expected:
        return tensors  # a configuration names each of its inputs once
    for name in came:
        if name not in expected:
            raise InvalidRequest(f"{_model(config)} has no input {name!r}; it has {_names(expected)}")
        if came.count(name) > 1:
            raise InvalidRequest(f"{_model(config)}: input {name!r} was sent {came.count(name)} times; send it once")
    for name in expected:
        if name not in came:
            raise InvalidRequest(f"{_model(config)}: input {name!r} is missing; expected {_names(expected)}")
    return [tensors[came.index(name)] for name in expected]


def _check_outputs(config: ModelConfig, requested: Sequence[str]) -> None:
    offered = [spec.name for spec in config.outputs]
    for name in requested:
        if name not in offered:
            raise InvalidRequest(f"{_model(config)} has no output {name!r}; it has {_names(offered)}")


def _check_tensor(config: ModelConfig, spec: TensorSpec, tensor: Tensor, *, batched: bool) -> None:
    if tensor.datatype is not spec.datatype:
        what = _input(config, spec)
        raise InvalidRequest(f"{what} must be {spec.datatype.value}, got {tensor.datatype.value}")
    shape = tensor.array.shape
    if not _fits(shape, spec.shape):
        first = ", the first dimension being the batch" if batched else ""
        raise InvalidRequest(f"{_input(config, spec)} must have shape {list(spec.shape)}{first}, got {list(shape)}")
    if 0 in shape:
        raise InvalidRequest(
            f"{_input(config, spec)} has shape {list(shape)}, which holds no element; every size must be at least 1"
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    for size, fixed in zip(shape, wanted, strict=True):  # noqa: SIM110 - a generator costs more than the loop
        if fixed not in (-1, size):
            return False
    return True


def _rows(config: ModelConfig, tensors: Sequence[Tensor]) -> int:
    first, *others = tensors
    count: int = first.array.shape[0]
    for other in others:
        if other.array.shape[0] != count:
            raise InvalidRequest(
                f"{_model(config)}: all inputs must have the same batch size, got {count} for {first.name!r} and "
                f"{other.array.shape[0]} for {other.name!r}"
            )
    if count > config.max_batch_size:
        raise InvalidRequest(f"{_model(config)} takes batches of at most {config.max_batch_size}, got {count}")
    return count


def _model(config: ModelConfig) -> str:
    """For messages."""
    return f"model {config.name!r}"


def _input(config: ModelConfig, spec: TensorSpec) -> str:
    """For messages."""
    return f"{_model(config)}: input {spec.name!r}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
