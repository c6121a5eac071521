"""Networks exported with `torch.export`: a graph of operators that says itself which sizes vary."""

from __future__ import annotations

import importlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.exported_archive import check_archive
from pasarela_server.backends.metadata import parse_config_file, tensor_names
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import DataType, TensorSpec

METADATA_FILE = "config.txt"
_DATATYPES = {
    "torch.bool": DataType.BOOL,
    "torch.uint8": DataType.UINT8,
    "torch.int8": DataType.INT8,
    "torch.int16": DataType.INT16,
    "torch.int32": DataType.INT32,
    "torch.int64": DataType.INT64,
    "torch.float16": DataType.FP16,
    "torch.float32": DataType.FP32,
    "torch.float64": DataType.FP64,
}
_CURRENT, _OLD = "archive_format", "serialized_exported_program.json"


def is_exported(archive: zipfile.ZipFile) -> bool:
    """True if an archive is one of `torch.export`, of whatever version."""
    names = archive.namelist()
    return _OLD in names or any(name.partition("/")[2] == _CURRENT for name in names)


def load_exported(torch: Any, artefact: Path, device: str, options: BackendOptions) -> tuple[Any, ArtefactSpec]:
    """Loads an archive that `torch.export.save` wrote, without unpickling anything.

    Args:
        torch: The framework.
        artefact: The archive.
        device: PyTorch's name of the device that shall run it.
        options: Names as configured.

    Returns:
        A module that is called with a tensor for each input; and what it takes and gives.

    Raises:
        InvalidModel: The archive holds more than a network, or takes or gives what is not served.
        Exception: Whatever the framework raises on an archive that it cannot read.
    """
    content = artefact.read_bytes()
    check_archive(torch, content)
    extra_files = {METADATA_FILE: ""}
    program = torch.export.load(io.BytesIO(content), extra_files=extra_files)
    spec = _read_spec(program, parse_config_file(extra_files[METADATA_FILE], METADATA_FILE), options)
    if device != "cpu":
        move = importlib.import_module("torch.export.passes").move_to_device_pass
        program = move(program, device)
    module = program.module(check_guards=False)  # the server checks shapes at its door
    for node in module.graph.nodes:
        node.meta.clear()
    return module, spec


def empty(module: Any) -> None:
    """Frees the tensors of a module. Its graph is full of circles, so it would keep them until the next collection."""
    for part in list(module.modules()):
        part._parameters.clear()  # noqa: SLF001  # there is no public way to take a parameter away
        part._buffers.clear()  # noqa: SLF001


def _read_spec(program: Any, metadata: Mapping[str, object], options: BackendOptions) -> ArtefactSpec:
    signature = program.graph_signature
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    own = list(signature.user_inputs)
    inputs = _tensors([values.get(name) for name in own], "input")
    outputs = _tensors([values.get(name) for name in signature.user_outputs], "output")
    input_names = tensor_names(own, options.input_names, metadata, ultralytics="images", positional="INPUT__{}")
    output_names = tensor_names(
        [""] * len(outputs), options.output_names, metadata, ultralytics="output0", positional="OUTPUT__{}"
    )
    rows = {str(tensor.shape[0]) if tensor.dim() else "" for tensor in (*inputs, *outputs)}
    specs = [
        tuple(_spec(name, tensor) for name, tensor in zip(names, tensors, strict=True))
        for names, tensors in ((input_names, inputs), (output_names, outputs))
    ]
    batched = len(rows) == 1 and all(spec.shape[:1] == (-1,) for spec in (*specs[0], *specs[1]))
    return ArtefactSpec(specs[0], specs[1], batched, metadata)


def _tensors(values: Sequence[Any], role: str) -> list[Any]:
    for value in values:
        if not hasattr(value, "dtype"):
            raise InvalidModel(f"an {role} of the exported network is no tensor, which is not served")
    return list(values)


def _spec(name: str, tensor: Any) -> TensorSpec:
    datatype = _DATATYPES.get(str(tensor.dtype))
    if datatype is None:
        raise InvalidModel(f"{name!r} is of type {tensor.dtype}, which is not served")
    return TensorSpec(name, datatype, tuple(size if isinstance(size, int) else -1 for size in tensor.shape))
