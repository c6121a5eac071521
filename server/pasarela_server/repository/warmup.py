"""Zeros for a first inference, so that no client's request is the one that is cold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pasarela_server.tensor import Array, DataType, TensorSpec


def warmup_inputs(
    inputs: Sequence[TensorSpec], image_size: tuple[int, int] | None, *, batched: bool
) -> Mapping[str, Array] | None:
    """Inputs of one row for a model.

    Args:
        inputs: The model's inputs, whole shapes.
        image_size: (height, width) that the model is made for, if it takes images.
        batched: Whether the first dimension is the batch's.

    Returns:
        An array of zeros for each input; None if a size varies and nothing says what it usually is.
    """
    arrays: dict[str, Array] = {}
    for spec in inputs:
        shape = list(spec.shape)
        if batched or (image_size is not None and len(shape) == 4 and shape[0] == -1):
            shape[0] = 1
        if image_size is not None and len(shape) == 4:
            shape[2:] = [usual if size == -1 else size for size, usual in zip(shape[2:], image_size, strict=True)]
            shape[1] = 3 if shape[1] == -1 else shape[1]
        if -1 in shape:
            return None
        fill: object = b"" if spec.datatype is DataType.BYTES else 0
        arrays[spec.name] = np.full(shape, fill, spec.datatype.numpy)
    return arrays
