"""Quantised OpenVINO models: compiled with static shapes only, so a batch goes through them row by row.

OpenVINO ends the process when it runs an INT8 model with any dynamic dimension on a CPU with AMX (openvino #37577).
A batch gains nothing on a CPU, so nothing is lost by running its rows one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pasarela_server.backends.artefacts import inferring
from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array


def is_quantised(model: Any) -> bool:
    """True if some of an OpenVINO model computes in whole numbers of 8 bits or fewer."""
    return any(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops())


def row_shapes(spec: ArtefactSpec) -> list[tuple[int, ...]]:
    """The shape of each input for one row.

    Raises:
        InvalidModel: A dimension other than the batch varies, or the batch does not lead every input and output.
    """
    if not spec.batched or any(-1 in tensor.shape[1:] for tensor in spec.inputs):
        shapes = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in spec.inputs)
        raise InvalidModel(
            f"the model is quantised and its sizes vary ({shapes}), which can end the process on CPUs with AMX; "
            "reshape it to fixed sizes (only the batch may vary) and save it again"
        )
    return [(1, *tensor.shape[1:]) for tensor in spec.inputs]


class RowByRowSession:
    """One stream of inferences of a model that was compiled for one row."""

    def __init__(self, spec: ArtefactSpec, single: Any) -> None:
        self._spec = spec
        self._request: Any = single.create_infer_request()
        self._output_shapes = [tuple(port.shape)[1:] for port in single.outputs]

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        arrays = [inputs[tensor.name] for tensor in self._spec.inputs]
        rows = len(arrays[0])
        outputs = [
            np.empty((rows, *shape), tensor.datatype.numpy)
            for tensor, shape in zip(self._spec.outputs, self._output_shapes, strict=True)
        ]
        with inferring("OpenVINO"):
            for row in range(rows):
                results = self._request.infer(
                    [array[row : row + 1] for array in arrays], share_inputs=True, share_outputs=True
                )
                for position, output in enumerate(outputs):
                    output[row] = results[position][0]
        return {tensor.name: output for tensor, output in zip(self._spec.outputs, outputs, strict=True)}

    def close(self) -> None:
        """Lets go of the infer request, which keeps the compiled model alive."""
        self._request = None
