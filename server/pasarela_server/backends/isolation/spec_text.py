"""What an artefact says of itself, on its way from the process that opened it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pasarela_server.backends.base import ArtefactSpec
from pasarela_server.backends.metadata import normalise
from pasarela_server.processes.framing import BrokenLink
from pasarela_server.tensor import DataType, TensorSpec


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """What the server must know of a backend that it does not hold."""

    spec: ArtefactSpec
    description: str
    wide_threads: int
    """See `WideSession`; 0 if sessions are none."""


def write_opened(opened: OpenedModel) -> str:
    """As a text."""
    spec = opened.spec
    return json.dumps(
        {
            "inputs": [_write(tensor) for tensor in spec.inputs],
            "outputs": [_write(tensor) for tensor in spec.outputs],
            "batched": spec.batched,
            "metadata": dict(spec.metadata),
            "pixel_inputs": sorted(spec.pixel_inputs),
            "row_by_row": spec.row_by_row,
            "description": opened.description,
            "wide_threads": opened.wide_threads,
        },
        default=str,  # exporters leave dates and the like in metadata
    )


def read_opened(text: str) -> OpenedModel:
    """What `write_opened` wrote; metadata in the form that `metadata.normalise` gives it.

    Raises:
        BrokenLink: It wrote no such text.
    """
    try:
        said = json.loads(text)
        spec = ArtefactSpec(
            inputs=tuple(map(_read, said["inputs"])),
            outputs=tuple(map(_read, said["outputs"])),
            batched=bool(said["batched"]),
            metadata=normalise(said["metadata"]),
            pixel_inputs=frozenset(said["pixel_inputs"]),
            row_by_row=bool(said["row_by_row"]),
        )
        return OpenedModel(spec, str(said["description"]), int(said["wide_threads"]))
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenLink("this describes no model") from error


def _write(tensor: TensorSpec) -> list[Any]:
    return [tensor.name, tensor.datatype.value, list(tensor.shape)]


def _read(written: list[Any]) -> TensorSpec:
    name, datatype, shape = written
    return TensorSpec(str(name), DataType(datatype), tuple(map(int, shape)))
