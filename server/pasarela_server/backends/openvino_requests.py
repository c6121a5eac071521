"""OpenVINO's infer requests, fed with the arrays that come and writing into those that go.

Nothing is copied on either side: the requests read inputs where they lie and, where the sizes of the outputs are known,
write into fresh arrays that the caller owns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pasarela_server.tensor import Array


class FixedRequest:
    """An infer request of a compiled model all of whose shapes are fixed."""

    def __init__(self, compiled: Any) -> None:
        from openvino import Tensor

        self._tensor = Tensor
        self._request: Any = compiled.create_infer_request()
        self._outputs = [(tuple(port.shape), port.element_type.to_dtype()) for port in compiled.outputs]

    def infer(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs the model; the outputs are new arrays."""
        outputs = [np.empty(shape, dtype) for shape, dtype in self._outputs]
        self._run(inputs, outputs)
        return outputs

    def _run(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        # The request keeps the arrays' addresses and not the arrays: all of them are set anew before each run.
        for position, array in enumerate(inputs):
            self._request.set_input_tensor(position, self._tensor(writable(array), shared_memory=True))
        for position, array in enumerate(outputs):
            self._request.set_output_tensor(position, self._tensor(array, shared_memory=True))
        self._request.infer(share_outputs=True)


class RowsRequest(FixedRequest):
    """An infer request of a model compiled for one row: a batch goes through it row after row.

    Each row's answer goes straight into its place in the batch's. On a CPU that is no slower than a batch, and takes a
    batch's fraction of the memory.
    """

    def infer(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs the model on each row; the outputs are new arrays, of all rows."""
        return self.infer_parts([inputs])

    def infer_parts(self, parts: Sequence[Sequence[Array]]) -> list[Array]:
        """Runs the model on each row of each part; the outputs are new arrays, of all rows."""
        rows = sum(len(part[0]) for part in parts)
        outputs = [np.empty((rows, *shape[1:]), dtype) for shape, dtype in self._outputs]
        done = 0
        for part in parts:
            for row in range(len(part[0])):
                one_row = [array[row : row + 1] for array in part]
                self._run(one_row, [array[done : done + 1] for array in outputs])
                done += 1
        return outputs


class GeneralRequest:
    """An infer request of a compiled model some of whose shapes show only when it has run."""

    def __init__(self, compiled: Any) -> None:
        self._request: Any = compiled.create_infer_request()

    def infer(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs the model. The outputs are copies: the next run may write into the request's own memory."""
        results = self._request.infer([writable(array) for array in inputs], share_inputs=True, share_outputs=False)
        return [results[position] for position in range(len(results))]


def is_fixed(compiled: Any) -> bool:
    """True if every shape of a compiled model is known before it runs."""
    return all(port.partial_shape.is_static for port in (*compiled.inputs, *compiled.outputs))


def writable(array: Array) -> Array:
    """The same memory without the mark that forbids to write into it: OpenVINO would copy it because of the mark.

    Only for what is going to be read. The array returned keeps the memory alive.
    """
    return array if array.flags.writeable else np.asarray(_Unmarked(array))


class _Unmarked:
    """Memory of an array, described by NumPy's array interface as one that may be written."""

    def __init__(self, array: Array) -> None:
        self._array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
