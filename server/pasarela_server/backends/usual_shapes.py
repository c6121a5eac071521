"""Shapes that a network's inputs will mostly have, read off what its artefact says. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.backends.metadata import image_shape
from pasarela_server.tensor import Array, TensorSpec

STAND_IN = 64
"""Tried for sizes that vary and of which nothing is known."""

Shape = tuple[int, ...]
Form = tuple[tuple[str, Shape], ...]
"""What batches of one kind have in common: each input's type, as NumPy writes it, and its shape without the rows.

The rows are there if the network does not batch.
"""


def usual_rows(metadata: Mapping[str, object]) -> int:
    """How many rows the network was exported with."""
    rows = metadata.get("batch")
    return rows if isinstance(rows, int) and rows > 0 else 1


def stand_in_shape(stated: Shape, rows: int, metadata: Mapping[str, object]) -> Shape:
    """A whole shape to try a network with: sizes that vary are those of the metadata, else `STAND_IN`."""
    image = image_shape(metadata)
    usual = image if image is not None and len(stated) == 4 else (STAND_IN,) * (len(stated) - 1)
    return tuple(wanted if size == -1 else size for size, wanted in zip(stated, (rows, *usual), strict=True))


def noise_array(noise: np.random.Generator, tensor: TensorSpec, shape: Shape) -> Array:
    """Values from 0 to 1 of an input's type."""
    kind = tensor.datatype.numpy
    return noise.random(shape).astype(kind) if kind.kind == "f" else noise.integers(0, 2, shape).astype(kind)


def usual_forms(spec: ArtefactSpec) -> tuple[Form, ...]:
    """The forms that batches will mostly have; none if sizes vary and nothing says which are usual."""
    image = image_shape(spec.metadata)
    shapes = [stand_in_shape(tensor.shape, usual_rows(spec.metadata), spec.metadata) for tensor in spec.inputs]
    for tensor in spec.inputs:
        if -1 in tensor.shape[1:] and (image is None or len(tensor.shape) != 4):
            return ()
    first = 1 if spec.batched else 0
    plain = tuple((tensor.datatype.numpy.str, shape[first:]) for tensor, shape in zip(spec.inputs, shapes, strict=True))
    if not spec.pixel_inputs:
        return (plain,)
    ((rows, channels, height, width),) = shapes
    return ((np.dtype(np.uint8).str, (rows, height, width, channels)[first:]),), plain
