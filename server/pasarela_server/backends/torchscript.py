"""What a TorchScript archive takes and gives: it does not say, so it is tried out at load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.metadata import image_shape, is_ultralytics, tensor_names
from pasarela_server.backends.usual_shapes import STAND_IN, noise_array, stand_in_shape, usual_rows
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array, DataType, TensorSpec

Run = Callable[[Sequence[Array]], list[Array]]
"""Runs a module on one array per input; gives one array per output."""
Shape = tuple[int, ...]


def discover_spec(run: Run, input_count: int, metadata: Mapping[str, object], options: BackendOptions) -> ArtefactSpec:
    """Runs a module on noise, in several shapes, and reads its spec off the outputs.

    Args:
        run: The module.
        input_count: How many inputs it has.
        metadata: Ultralytics', or empty: then `options.parameters` must hold the shapes of the inputs.
        options: Names and shapes as configured.

    Raises:
        InvalidModel: Nothing says what shape the inputs have.
        Exception: Whatever the framework raises if the module cannot run on them.
    """
    inputs = _stated_inputs(input_count, metadata, options)
    rows = usual_rows(metadata)
    usual = [stand_in_shape(spec.shape, rows, metadata) for spec in inputs]
    noise = np.random.default_rng(0)

    def sample(shapes: Sequence[Shape]) -> list[Array]:
        return [noise_array(noise, spec, shape) for spec, shape in zip(inputs, shapes, strict=True)]

    here, there = sample(usual), sample(usual)
    outputs = run(here)
    batched = all(spec.shape[:1] == (-1,) for spec in inputs) and _rows_are_independent(run, here, there, outputs)
    larger = [_stretch(spec.shape, size) for spec, size in zip(inputs, usual, strict=True)]
    stretched = _run_if_it_can(run, sample(larger))
    in_shapes = [
        _shape(size, spec.shape, batched=batched, varies=stretched is not None)
        for spec, size in zip(inputs, usual, strict=True)
    ]
    out_shapes = [
        _shape(output.shape, _difference(output, other), batched=batched, varies=True)
        for output, other in zip(outputs, stretched or outputs, strict=True)
    ]
    names = tensor_names(
        [""] * len(outputs), options.output_names, metadata, ultralytics="output0", positional="OUTPUT__{}"
    )
    return ArtefactSpec(
        inputs=tuple(replace(spec, shape=shape) for spec, shape in zip(inputs, in_shapes, strict=True)),
        outputs=tuple(
            TensorSpec(name, _datatype(output), shape)
            for name, output, shape in zip(names, outputs, out_shapes, strict=True)
        ),
        batched=batched,
        metadata=metadata,
    )


def flatten(results: Any) -> list[Any]:
    """The tensors that a module returned, whether bare, in tuples or lists, or in a dict."""
    if isinstance(results, Mapping):
        results = list(results.values())
    if isinstance(results, list | tuple):
        return [tensor for part in results for tensor in flatten(part)]
    return [results]


def _stated_inputs(count: int, metadata: Mapping[str, object], options: BackendOptions) -> tuple[TensorSpec, ...]:
    names = tensor_names([""] * count, options.input_names, metadata, ultralytics="images", positional="INPUT__{}")
    image = image_shape(metadata)
    if is_ultralytics(metadata) and image is not None and count == 1:
        return (TensorSpec(names[0], DataType.FP32, (-1, image[0], -1, -1)),)
    return tuple(_configured_input(name, options.parameters) for name in names)


def _configured_input(name: str, parameters: Mapping[str, str]) -> TensorSpec:
    written = parameters.get(f"{name}.shape")
    if written is None:
        raise InvalidModel(
            f"the archive does not say what shape its input {name!r} has; "
            f"write it in config.pbtxt as parameter {name + '.shape'!r}, for example -1,3,224,224"
        )
    datatype = parameters.get(f"{name}.datatype", DataType.FP32.value)
    try:
        shape = tuple(int(size) for size in written.split(","))
        return TensorSpec(name, DataType(datatype), shape)
    except ValueError as error:
        raise InvalidModel(f"the shape {written!r} or datatype {datatype!r} of input {name!r} is none") from error


def _stretch(stated: Shape, usual: Shape) -> Shape:
    return usual[:1] + tuple(
        size + STAND_IN if free == -1 else size for free, size in zip(stated[1:], usual[1:], strict=True)
    )


def _shape(usual: Shape, stated: Shape, *, batched: bool, varies: bool) -> Shape:
    rest = tuple(-1 if varies and free == -1 else size for free, size in zip(stated[1:], usual[1:], strict=True))
    return ((-1,) if batched else usual[:1]) + rest


def _difference(output: Array, other: Array) -> Shape:
    return tuple(-1 if size != changed else size for size, changed in zip(output.shape, other.shape, strict=True))


def _rows_are_independent(run: Run, here: list[Array], there: list[Array], outputs: list[Array]) -> bool:
    # A traced module may have the batch size burnt in: it fails on another, or is right for its first rows only.
    both = _run_if_it_can(run, [np.concatenate(pair) for pair in zip(here, there, strict=True)])
    if both is None:
        return False
    apart = [np.concatenate(pair) for pair in zip(outputs, run(there), strict=True) if pair[0].ndim]
    return len(apart) == len(both) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=1e-3, atol=1e-3 * float(np.abs(one).max(initial=0)))
        for one, other in zip(apart, both, strict=True)
    )


def _run_if_it_can(run: Run, arrays: list[Array]) -> list[Array] | None:
    try:
        return run(arrays)
    except RuntimeError:
        return None


def _datatype(output: Array) -> DataType:
    for datatype in DataType:
        if datatype not in (DataType.BF16, DataType.BYTES) and datatype.numpy == output.dtype:
            return datatype
    raise InvalidModel(f"an output of type {output.dtype} is not served")
