"""Completes and checks the inputs and outputs that config.pbtxt lists against those of the artefact. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pasarela_proto import model_config_pb2
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

WrittenTensor = model_config_pb2.ModelInput | model_config_pb2.ModelOutput


def proto_type(datatype: DataType) -> str:
    """The name in config.pbtxt: TYPE_FP32 of FP32, TYPE_STRING of BYTES."""
    return "TYPE_STRING" if datatype is DataType.BYTES else f"TYPE_{datatype.value}"


def complete_tensors(
    role: str, written: Sequence[WrittenTensor], actual: Sequence[TensorSpec], *, batched: bool, source: str
) -> tuple[TensorSpec, ...]:
    """The tensors to serve: what is written narrows what the artefact has and must not contradict it.

    Args:
        role: "input" or "output", for messages.
        written: Tensors of the configuration, dims without the batch dimension where there is one.
        actual: Tensors of the artefact, whole shapes.
        batched: Whether the first dimension is the batch's.
        source: What messages call the configuration.

    Returns:
        Whole shapes. Inputs: all of the artefact's, in its order. Outputs: those that are written, in their order, or
        all of the artefact's if none is.

    Raises:
        InvalidModel: A name, type or size disagrees, or a tensor is listed twice.
    """
    by_name = {spec.name: spec for spec in actual}
    checked: dict[str, TensorSpec] = {}
    for tensor in written:
        if tensor.name not in by_name:
            raise InvalidModel(
                f"{source}: {role} {tensor.name!r} is not in the model file, which has {', '.join(map(repr, by_name))}"
            )
        if tensor.name in checked:
            raise InvalidModel(f"{source}: {role} {tensor.name!r} is listed twice")
        checked[tensor.name] = _checked(role, tensor, by_name[tensor.name], batched=batched, source=source)
    if role == "output" and checked:
        return tuple(checked.values())
    return tuple(checked.get(spec.name, spec) for spec in actual)


def check_rank(
    written: model_config_pb2.ModelConfig, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], source: str
) -> str | None:
    """Tells from the number of written dims whether they leave the batch dimension out.

    Returns:
        The name of a tensor whose dims hold the first dimension too; None if none is written so.

    Raises:
        InvalidModel: Some tensors are written with the first dimension and some without.
    """
    ranks = {spec.name: len(spec.shape) for spec in (*inputs, *outputs)}
    every: tuple[WrittenTensor, ...] = (*written.input, *written.output)
    sized = [tensor for tensor in every if tensor.dims]
    whole = [tensor.name for tensor in sized if len(tensor.dims) == ranks.get(tensor.name)]
    rows = [tensor.name for tensor in sized if len(tensor.dims) + 1 == ranks.get(tensor.name)]
    if whole and rows:
        raise InvalidModel(
            f"{source}: the dims of {whole[0]!r} hold the batch dimension and those of {rows[0]!r} leave it out; "
            "leave it out everywhere"
        )
    return whole[0] if whole else None


def _checked(role: str, tensor: WrittenTensor, actual: TensorSpec, *, batched: bool, source: str) -> TensorSpec:
    what = f"{source}: {role} {tensor.name!r}"
    expected_type = proto_type(actual.datatype)
    written_type = model_config_pb2.DataType.Name(tensor.data_type)
    if tensor.data_type and written_type != expected_type:
        raise InvalidModel(f"{what}: data_type is {written_type}, but the model file has {expected_type}")
    if isinstance(tensor, model_config_pb2.ModelInput):
        _check_format(what, tensor, len(actual.shape) - batched)
    if not tensor.dims:
        return actual
    expected = actual.shape[1:] if batched else actual.shape
    dims = tuple(tensor.dims)
    fits = len(dims) == len(expected) and all(
        one == other or (other == -1 and one > 0) for one, other in zip(dims, expected, strict=True)
    )
    if not fits:
        without = ", the batch dimension left out" if batched else ""
        raise InvalidModel(f"{what}: dims are {list(dims)}, but the model file has {list(expected)}{without}")
    return TensorSpec(actual.name, actual.datatype, (-1, *dims) if batched else dims)


def _check_format(what: str, tensor: model_config_pb2.ModelInput, rank: int) -> None:
    if tensor.format and rank != 3:
        name = model_config_pb2.ModelInput.Format.Name(tensor.format)
        raise InvalidModel(
            f"{what}: format {name} is that of an image with 3 dims, but it has {rank}; remove the format"
        )
