"""TorchScript models for PyTorch."""

from __future__ import annotations

import json
import threading
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pasarela_server.backends.artefacts import cuda_index, import_framework, inferring, loading, require_file
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.metadata import exported_precision, normalise
from pasarela_server.backends.torchscript import discover_spec, flatten
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array

_METADATA_FILE = "config.txt"
_FILTERS = threading.Lock()
"""Held while warnings are filtered: their filters belong to the process, and loads may run side by side."""


@dataclass(frozen=True, slots=True)
class _Module:
    """A TorchScript module on a device, called with arrays; any number of threads may call it."""

    torch: Any
    module: Any
    device: str
    threads: int

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        torch = self.torch
        # PyTorch counts threads per calling thread, and a session may be handed from one thread to another.
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        # PyTorch has no read-only tensors, and warns when it is lent a read-only array.
        arrays = [array if array.flags.writeable else array.copy() for array in inputs]
        with torch.inference_mode():
            results = flatten(self.module(*(torch.from_numpy(array).to(self.device) for array in arrays)))
            outputs = [tensor.cpu().contiguous().numpy() for tensor in results]
        # A module may hand its input through; the caller must own what it gets.
        return [
            output.copy() if any(np.may_share_memory(output, array) for array in arrays) else output
            for output in outputs
        ]


class PyTorchSession:
    """One stream of inferences; all sessions of a model share its weights."""

    def __init__(self, module: _Module, spec: ArtefactSpec) -> None:
        self._module = module
        self._input_names = [tensor.name for tensor in spec.inputs]
        self._output_names = [tensor.name for tensor in spec.outputs]

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        with inferring("PyTorch"):
            outputs = self._module([inputs[name] for name in self._input_names])
        return dict(zip(self._output_names, outputs, strict=True))


class PyTorchBackend:
    """A loaded TorchScript archive."""

    def __init__(self, torch: Any, artefact: Path, options: BackendOptions) -> None:
        self._torch = torch
        self._options = options
        self._device = _device(torch, options.parameters)
        with loading(artefact):
            module, metadata = _load(torch, artefact, self._device)
            self._module: _Module | None = _Module(torch, module, self._device, options.threads)
            # Trying shapes out needs no optimiser; it would spend seconds on shapes that nobody asks for.
            with torch.jit.optimized_execution(False):
                self._spec = discover_spec(self._module, _input_count(module), metadata, options)

    @property
    def spec(self) -> ArtefactSpec:
        """See `Backend.spec`."""
        return self._spec

    @property
    def description(self) -> str:
        """See `Backend.description`."""
        precision = exported_precision(self._spec.metadata, self._spec.inputs)
        return (
            f"PyTorch {self._torch.__version__} TorchScript, {self._device.upper()}, {precision}, "
            f"{self._options.instances} x {self._options.threads} threads"
        )

    def session(self) -> PyTorchSession:
        """See `Backend.session`."""
        if self._module is None:
            raise RuntimeError("the backend is closed")
        return PyTorchSession(self._module, self._spec)

    def close(self) -> None:
        """See `Backend.close`."""
        self._module = None


class PyTorchLoader:
    """Loads TorchScript archives, and never a pickled checkpoint: reading one runs whatever code it holds."""

    name = "pytorch"
    artefact = "model.pt"

    def load(self, artefact: Path, options: BackendOptions) -> PyTorchBackend:
        """See `BackendLoader.load`.

        The parameter `device` is `cpu`, `gpu` or `cuda:N`. Archives without Ultralytics' metadata do not say what
        shapes they take: the parameter `<input name>.shape` does, as `-1,3,224,224`, and `<input name>.datatype`
        where it is not FP32.
        """
        torch = import_framework("torch", extra="pytorch")
        require_file(artefact)
        _require_torchscript(artefact)
        return PyTorchBackend(torch, artefact, options)


def _require_torchscript(artefact: Path) -> None:
    export = "export it with: yolo export model=<checkpoint>.pt format=torchscript"
    if not zipfile.is_zipfile(artefact):
        with artefact.open("rb") as file:
            begins_as_archive = file.read(4) == b"PK\x03\x04"
        if begins_as_archive:
            raise InvalidModel(f"{artefact.name} ends early: the end of the archive is missing")
        raise InvalidModel(f"{artefact.name} is no TorchScript archive; {export}")
    with zipfile.ZipFile(artefact) as archive:
        inside = {name.partition("/")[2] for name in archive.namelist()}
    if "constants.pkl" not in inside or not any(name.startswith("code/") for name in inside):
        raise InvalidModel(f"{artefact.name} is a checkpoint, not a TorchScript archive, and is not loaded; {export}")


def _device(torch: Any, parameters: Mapping[str, str]) -> str:
    index = cuda_index(parameters)
    if index is None:
        return "cpu"
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise InvalidModel(f"the model asks for CUDA device {index}, and PyTorch sees no such device")
    return f"cuda:{index}"


def _parse_metadata(text: str | bytes) -> dict[str, object]:
    if not text:
        return {}
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidModel(f"its {_METADATA_FILE} is no JSON") from error
    if not isinstance(content, dict):
        raise InvalidModel(f"its {_METADATA_FILE} holds no keys and values")
    return normalise(content)


def _load(torch: Any, artefact: Path, device: str) -> tuple[Any, dict[str, object]]:
    extra_files = {_METADATA_FILE: ""}
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.load`", category=Warning)
        module = torch.jit.load(str(artefact), map_location=device, _extra_files=extra_files).eval()
    return module, _parse_metadata(extra_files[_METADATA_FILE])


def _input_count(module: Any) -> int:
    return len(module._c._get_method("forward").schema.arguments) - 1  # noqa: SLF001  # the first is the module
