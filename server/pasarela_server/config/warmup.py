"""What `model_warmup` of a configuration asks to be run before a model is READY. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from pasarela_proto import model_config_pb2
from pasarela_server.config.tensors import proto_type
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

MOST_ELEMENTS = 2**28
"""In one input: a typo in its dims must not take the memory of the machine."""
MOST_REPEATS = 1000


class WarmupData(enum.Enum):
    """Where the content of an input comes from."""

    ZERO = "zero_data"
    RANDOM = "random_data"
    FILE = "input_data_file"


@dataclass(frozen=True, slots=True)
class WarmupInput:
    """One input of a sample."""

    name: str
    datatype: DataType
    shape: tuple[int, ...]
    """Whole, rows included where the model has them."""
    data: WarmupData
    file: str = ""
    """With FILE: a file name in the folder `warmup` of the model."""


@dataclass(frozen=True, slots=True)
class WarmupSample:
    """One request to run."""

    name: str
    repeats: int
    inputs: tuple[WarmupInput, ...]


def read_warmup(
    written: model_config_pb2.ModelConfig, inputs: Sequence[TensorSpec], max_batch_size: int, source: str
) -> tuple[WarmupSample, ...]:
    """Reads and checks the samples.

    Args:
        written: The configuration.
        inputs: The model's, whole shapes.
        max_batch_size: Rows of a batch; 0 if the model has no batch dimension.
        source: What messages call the configuration.

    Raises:
        InvalidModel: A sample does not fit the model; the message names it.
    """
    specs = {spec.name: spec for spec in inputs}
    return tuple(_sample(sample, specs, max_batch_size, source) for sample in written.model_warmup)


def _sample(
    sample: model_config_pb2.ModelWarmup, specs: dict[str, TensorSpec], max_batch_size: int, source: str
) -> WarmupSample:
    what = f"{source}: model_warmup {sample.name!r}"
    if set(sample.inputs) != set(specs):
        raise InvalidModel(f"{what} has inputs {_names(sample.inputs)}; the model has {_names(specs)}")
    rows = sample.batch_size or 1
    if max_batch_size and rows > max_batch_size:
        raise InvalidModel(f"{what}: batch_size is {rows}; expected at most {max_batch_size}, the max_batch_size")
    if sample.count > MOST_REPEATS:
        raise InvalidModel(f"{what}: count is {sample.count}; expected at most {MOST_REPEATS}")
    batch = (rows,) if max_batch_size else ()
    read = tuple(
        _input(f"{what}, input {name!r}", specs[name], given, batch) for name, given in sorted(sample.inputs.items())
    )
    return WarmupSample(sample.name, sample.count or 1, read)


def _input(
    what: str, spec: TensorSpec, given: model_config_pb2.ModelWarmup.Input, batch: tuple[int, ...]
) -> WarmupInput:
    written_type = model_config_pb2.DataType.Name(given.data_type)
    if written_type != proto_type(spec.datatype):
        raise InvalidModel(f"{what}: data_type is {written_type}, but the model has {proto_type(spec.datatype)}")
    shape = (*batch, *given.dims)
    fits = len(shape) == len(spec.shape) and all(
        size > 0 and free in (-1, size) for size, free in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        expected = list(spec.shape[len(batch) :])
        without = ", the batch dimension left out" if batch else ""
        raise InvalidModel(f"{what}: dims are {list(given.dims)}; expected sizes that fit {expected}{without}")
    if math.prod(shape) > MOST_ELEMENTS:
        raise InvalidModel(f"{what}: {math.prod(shape)} elements; expected at most {MOST_ELEMENTS}")
    kind = given.WhichOneof("input_data_type")
    if kind is None or (kind != WarmupData.FILE.value and not getattr(given, kind)):
        raise InvalidModel(f"{what}: say where its data come from: zero_data, random_data or input_data_file")
    data = WarmupData(kind)
    if data is WarmupData.FILE and PurePath(given.input_data_file).name != given.input_data_file:
        raise InvalidModel(f"{what}: input_data_file must be a file name in the model's folder 'warmup', not a path")
    return WarmupInput(spec.name, spec.datatype, shape, data, given.input_data_file)


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"
