"""Models for PyTorch: TorchScript archives, and those of `torch.export`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pasarela_server.backends.artefacts import cuda_index, import_framework, inferring, loading, require_file
from pasarela_server.backends.base import ArtefactSpec, BackendOptions
from pasarela_server.backends.exported_program import empty, load_exported
from pasarela_server.backends.metadata import exported_precision
from pasarela_server.backends.torchscript import discover_spec, flatten
from pasarela_server.backends.torchscript_archive import check_kind, input_count, load_torchscript
from pasarela_server.errors import InvalidModel
from pasarela_server.tensor import Array


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Module:
    """A module on a device, called with arrays; any number of threads may call it."""

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
        self._module: _Module | None = module
        self._input_names = [tensor.name for tensor in spec.inputs]
        self._output_names = [tensor.name for tensor in spec.outputs]

    def infer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """See `Session.infer`."""
        module = self._module
        if module is None:
            raise RuntimeError("the session is closed")
        with inferring("PyTorch"):
            outputs = module([inputs[name] for name in self._input_names])
        return dict(zip(self._output_names, outputs, strict=True))

    def close(self) -> None:
        """Lets go of the weights."""
        self._module = None


class PyTorchBackend:
    """A loaded archive."""

    def __init__(self, torch: Any, artefact: Path, options: BackendOptions, *, exported: bool) -> None:
        self._torch = torch
        self._options = options
        self._device = _device(torch, options.parameters)
        self._exported = exported
        self._sessions: list[PyTorchSession] = []
        with loading(artefact):
            self._module: _Module | None
            if exported:
                module, self._spec = load_exported(torch, artefact, self._device, options)
                self._module = _Module(torch, module, self._device, options.threads)
                return
            module, metadata = load_torchscript(torch, artefact, self._device)
            self._module = _Module(torch, module, self._device, options.threads)
            self._spec = _discover(torch, self._module, input_count(module), metadata, options)

    @property
    def spec(self) -> ArtefactSpec:
        """See `Backend.spec`."""
        return self._spec

    @property
    def description(self) -> str:
        """See `Backend.description`."""
        precision = exported_precision(self._spec.metadata, self._spec.inputs)
        kind = "torch.export" if self._exported else "TorchScript"
        return (
            f"PyTorch {self._torch.__version__} {kind}, {self._device.upper()}, {precision}, "
            f"{self._options.instances} x {self._options.threads} threads"
        )

    def session(self) -> PyTorchSession:
        """See `Backend.session`."""
        if self._module is None:
            raise RuntimeError("the backend is closed")
        session = PyTorchSession(self._module, self._spec)
        self._sessions.append(session)
        return session

    def close(self) -> None:
        """See `Backend.close`. Sessions are emptied too: whoever still holds one keeps nothing of the model alive."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        if self._exported and self._module is not None:
            empty(self._module.module)
        self._module = None


class PyTorchLoader:
    """Loads archives of TorchScript and `torch.export`, whatever their name.

    Never a pickled checkpoint: reading one runs whatever code it holds.
    """

    name = "pytorch"
    artefact = "model.pt"

    def load(self, artefact: Path, options: BackendOptions) -> PyTorchBackend:
        """See `BackendLoader.load`.

        The parameter `device` is `cpu`, `gpu` or `cuda:N`. TorchScript archives without Ultralytics' metadata do not
        say what shapes they take: the parameter `<input name>.shape` does, as `-1,3,224,224`, and
        `<input name>.datatype` where it is not FP32.
        """
        torch = import_framework("torch", extra="pytorch")
        require_file(artefact)
        return PyTorchBackend(torch, artefact, options, exported=check_kind(artefact))


def _discover(
    torch: Any, module: _Module, inputs: int, metadata: Mapping[str, object], options: BackendOptions
) -> ArtefactSpec:
    # Trying shapes out needs no optimiser; it would spend seconds on shapes that nobody asks for.
    try:
        with torch.jit.optimized_execution(False):
            return discover_spec(module, inputs, metadata, options)
    except RuntimeError:
        # Some networks (`nms=True`) mix types in a way that only the optimiser puts right.
        return discover_spec(module, inputs, metadata, options)


def _device(torch: Any, parameters: Mapping[str, str]) -> str:
    index = cuda_index(parameters)
    if index is None:
        return "cpu"
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise InvalidModel(f"the model asks for CUDA device {index}, and PyTorch sees no such device")
    return f"cuda:{index}"
