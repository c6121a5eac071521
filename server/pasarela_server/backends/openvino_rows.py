"""Quantised OpenVINO models: compiled with static shapes only, so a batch goes through them row by row.

OpenVINO ends the process when it runs an INT8 model with any dynamic dimension on a CPU with AMX (openvino #37577).
A batch gains nothing on a CPU, so nothing is lost by running its rows one after the other.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.errors import InvalidModel

_QUANTISED = re.compile(rb"""type\s*=\s*["']FakeQuantize["']""")


def is_quantised(model: Any, artefact: Path) -> bool:
    """True if some of an OpenVINO model computes in whole numbers of 8 bits or fewer.

    The text of a .xml tells it in a thousandth of a second; asking each operation of the model takes fifty.
    """
    if artefact.suffix.lower() == ".xml":
        return _QUANTISED.search(artefact.read_bytes()) is not None
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
