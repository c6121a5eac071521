"""Refuses at the door what does not fit the model, before it costs anything. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pasarela_server.config.model import ModelConfig
from pasarela_server.errors import InvalidRequest
from pasarela_server.request import InferRequest
from pasarela_server.tensor import Tensor, TensorSpec


def check_request(config: ModelConfig, request: InferRequest) -> int:
    """Checks names, types and shapes of a request against the model.

    Returns:
        Its rows: the size of the batch dimension, or 1 if the model has none.

    Raises:
        InvalidRequest: Something does not fit; the message names model, tensor, expected and actual.
    """
    model = f"model {config.name!r}"
    _check_names(model, config.inputs, request.inputs)
    if request.requested_outputs:
        offered = [spec.name for spec in config.outputs]
        for name in request.requested_outputs:
            if name not in offered:
                raise InvalidRequest(f"{model} has no output {name!r}; it has {_names(offered)}")
    by_name = {tensor.name: tensor for tensor in request.inputs}
    batched = config.max_batch_size > 0
    for spec in config.inputs:
        _check_tensor(model, spec, by_name[spec.name], batched=batched)
    return _rows(model, config, request.inputs) if batched else 1


def _check_names(model: str, specs: Sequence[TensorSpec], tensors: Sequence[Tensor]) -> None:
    expected = [spec.name for spec in specs]
    came = [tensor.name for tensor in tensors]
    if came == expected:
        return  # a configuration names each of its inputs once
    for name in came:
        if name not in expected:
            raise InvalidRequest(f"{model} has no input {name!r}; it has {_names(expected)}")
        if came.count(name) > 1:
            raise InvalidRequest(f"{model}: input {name!r} was sent {came.count(name)} times; send it once")
    for name in expected:
        if name not in came:
            raise InvalidRequest(f"{model}: input {name!r} is missing; expected {_names(expected)}")


def _check_tensor(model: str, spec: TensorSpec, tensor: Tensor, *, batched: bool) -> None:
    what = f"{model}: input {spec.name!r}"
    if tensor.datatype is not spec.datatype:
        raise InvalidRequest(f"{what} must be {spec.datatype.value}, got {tensor.datatype.value}")
    shape = tensor.array.shape
    if not _fits(shape, spec.shape):
        first = ", the first dimension being the batch" if batched else ""
        raise InvalidRequest(f"{what} must have shape {list(spec.shape)}{first}, got {list(shape)}")
    if 0 in shape:
        raise InvalidRequest(f"{what} has shape {list(shape)}, which holds no element; every size must be at least 1")


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    for size, fixed in zip(shape, wanted, strict=True):  # noqa: SIM110 - a generator costs more than the loop
        if fixed not in (-1, size):
            return False
    return True


def _rows(model: str, config: ModelConfig, tensors: Sequence[Tensor]) -> int:
    first, *others = tensors
    count: int = first.array.shape[0]
    for other in others:
        if other.array.shape[0] != count:
            raise InvalidRequest(
                f"{model}: all inputs must have the same batch size, got {count} for {first.name!r} and "
                f"{other.array.shape[0]} for {other.name!r}"
            )
    if count > config.max_batch_size:
        raise InvalidRequest(f"{model} takes batches of at most {config.max_batch_size}, got {count}")
    return count


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
