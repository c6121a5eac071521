"""Opening archives of PyTorch: telling TorchScript from `torch.export` and from checkpoints, and loading the first."""

from __future__ import annotations

import importlib
import threading
import warnings
import zipfile
from pathlib import Path
from typing import Any

from pasarela_server.backends.exported_program import METADATA_FILE, is_exported
from pasarela_server.backends.metadata import parse_config_file
from pasarela_server.backends.torchscript_code import check_code
from pasarela_server.errors import BackendMissing, InvalidModel

_EXPORT = "export it with: yolo export model=<checkpoint>.pt format=torchscript"
_TORCHVISION = b"torchvision."
_FILTERS = threading.Lock()
"""Held while warnings are filtered: their filters belong to the process, and loads may run side by side."""


def check_kind(artefact: Path) -> bool:
    """Tells what kind of archive a file is, without reading a pickle.

    Returns:
        True for an archive of `torch.export`, False for one of TorchScript.

    Raises:
        InvalidModel: It is neither, or a checkpoint.
    """
    if not zipfile.is_zipfile(artefact):
        with artefact.open("rb") as file:
            begins_as_archive = file.read(4) == b"PK\x03\x04"
        if begins_as_archive:
            raise InvalidModel(f"{artefact.name} ends early: the end of the archive is missing")
        raise InvalidModel(f"{artefact.name} is no TorchScript archive; {_EXPORT}")
    with zipfile.ZipFile(artefact) as archive:
        if is_exported(archive):
            return True
        inside = {name.partition("/")[2] for name in archive.namelist()}
    if "constants.pkl" not in inside or not any(name.startswith("code/") for name in inside):
        raise InvalidModel(f"{artefact.name} is a checkpoint, not a TorchScript archive, and is not loaded; {_EXPORT}")
    return False


def load_torchscript(torch: Any, artefact: Path, device: str) -> tuple[Any, dict[str, object]]:
    """Loads a TorchScript archive on a device; the module, and what its exporter wrote into it.

    Raises:
        InvalidModel: Its code reaches out of it.
        BackendMissing: It needs torchvision.
    """
    check_code(torch, artefact)
    _import_operators(artefact)
    extra_files = {METADATA_FILE: ""}
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.load`", category=Warning)
        module = torch.jit.load(str(artefact), map_location=device, _extra_files=extra_files).eval()
    return module, parse_config_file(extra_files[METADATA_FILE], METADATA_FILE)


def freeze_torchscript(torch: Any, module: Any) -> Any:
    """The module with its weights as constants of its graph, which is simplified by them."""
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.freeze`", category=Warning)
        return torch.jit.freeze(module.eval())


def input_count(module: Any) -> int:
    """How many tensors a TorchScript module takes."""
    return len(module._c._get_method("forward").schema.arguments) - 1  # noqa: SLF001  # the first is the module


def _import_operators(artefact: Path) -> None:
    """Suppression inside a network (`nms=True`) is an operator that PyTorch knows once torchvision was imported."""
    with zipfile.ZipFile(artefact) as archive:
        code = [name for name in archive.namelist() if "/code/" in name and name.endswith(".py")]
        if not any(_TORCHVISION in archive.read(name) for name in code):
            return
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:
        raise BackendMissing(
            f"{artefact.name} was exported with nms=True and needs torchvision, which is not installed or cannot be "
            "imported; install it with: pip install torchvision, or export without nms=True"
        ) from error
