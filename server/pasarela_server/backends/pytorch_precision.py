"""In which precision PyTorch computes a network: what the configuration asks for, and what is right without. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from pasarela_server.backends.metadata import is_ultralytics
from pasarela_server.errors import InvalidModel

PARAMETER = "precision"
_DEFAULT = "default"


class Precision(enum.Enum):
    """The value is that of the parameter `precision`."""

    F32 = "f32"
    """As the archive was written, whatever that is: nothing is made less precise, and TF32 stays off."""
    F16 = "f16"
    BF16 = "bf16"


def asked_precision(parameters: Mapping[str, str]) -> Precision | None:
    """The precision that the parameter asks for; None if it leaves the choice.

    Raises:
        InvalidModel: It asks for one that does not exist.
    """
    written = parameters.get(PARAMETER, _DEFAULT).strip().lower()
    if written == _DEFAULT:
        return None
    try:
        return Precision(written)
    except ValueError:
        known = ", ".join((*(one.value for one in Precision), _DEFAULT))
        raise InvalidModel(f"parameter {PARAMETER!r} is {written!r}; expected one of {known}") from None


def usual_precision(metadata: Mapping[str, object], *, gpu: bool) -> Precision:
    """The precision of a model that asks for none.

    Half precision is tried on a GPU, for Ultralytics' networks: these were measured (see decision 23). What another
    network bears nobody knows, and CPUs gain nothing.
    """
    return Precision.F16 if gpu and is_ultralytics(metadata) else Precision.F32
