"""The backends that the server knows, by name."""

from __future__ import annotations

from pathlib import Path

from pasarela_server.backends.base import Backend, BackendLoader, BackendOptions
from pasarela_server.backends.onnxruntime import OnnxRuntimeLoader
from pasarela_server.backends.openvino import OpenVinoLoader
from pasarela_server.backends.pytorch import PyTorchLoader
from pasarela_server.errors import InvalidModel


def loaders() -> dict[str, BackendLoader]:
    """A loader for each backend, by the name that config.pbtxt uses. No framework is imported."""
    known: tuple[BackendLoader, ...] = (OnnxRuntimeLoader(), OpenVinoLoader(), PyTorchLoader())
    return {loader.name: loader for loader in known}


def load_backend(name: str, artefact: Path, options: BackendOptions) -> Backend:
    """Loads an artefact with the backend of that name.

    Raises:
        InvalidModel: There is no such backend, or the artefact cannot be served.
        BackendMissing: The framework is not installed.
    """
    known = loaders()
    loader = known.get(name)
    if loader is None:
        raise InvalidModel(f"backend {name!r} is unknown; known are {', '.join(sorted(known))}")
    return loader.load(artefact, options)
