"""Which file of a version's folder is the model, told from names alone. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pasarela_server.config.unserved import refusal
from pasarela_server.errors import InvalidModel

_BY_SUFFIX = {
    ".onnx": "onnxruntime",
    ".xml": "openvino",
    ".torchscript": "pytorch",
    ".pt2": "pytorch",
    ".pt": "pytorch",
}
"""The backend that reads files of this kind."""
_USUAL = {"model.pt2": "pytorch"}
"""Usual names beside those of the loaders."""
_ALSO_READS = {"openvino": (".onnx",)}
"""What a backend reads too, if the configuration names it."""
_LAST_RESORT = ".pt"
"""Exporters leave the checkpoint beside what they made of it: it is looked at only if nothing else is there."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be the model."""

    path: str
    """Relative to the version's folder, `/` between folder and file."""
    backend: str


def find_artefact(
    files: Collection[str], usual: Mapping[str, str], backend: str | None, written: str, what: str
) -> Candidate:
    """Finds the model file of a version.

    Usual names win over others; a file ending in `.pt` counts only if there is no other, since it is mostly the
    checkpoint that the others were made from.

    Args:
        files: Paths relative to the version's folder, sub-folders one level deep.
        usual: By backend, the usual name of the file that it loads.
        backend: The backend that the configuration names, if any.
        written: The file that it names, if any.
        what: How messages begin: "model 'garments'".

    Raises:
        InvalidModel: There is none, or more than one; the message names them and says what to do.
    """
    if written:
        return Candidate(written, backend or _backend_of(written, what))
    names = [name for name in sorted(files) if not _is_hidden(name)]
    for tier in _tiers(names, usual, backend):
        if len(tier) == 1:
            return tier[0]
        if tier:
            raise InvalidModel(_several(tier, what))
    _refuse(names, what)
    if backend is not None:
        return Candidate(usual.get(backend, ""), backend)
    known = ", ".join(f"{name} ({loader})" for loader, name in sorted(usual.items()))
    raise InvalidModel(
        f"{what}: the version's folder holds no model file; put one of these there: {known}, or an export under its "
        "own name (.onnx, .torchscript, .pt2, an OpenVINO folder); "
        "or name the file with default_model_filename and the backend in config.pbtxt"
    )


def _tiers(names: Collection[str], usual: Mapping[str, str], backend: str | None) -> tuple[list[Candidate], ...]:
    """Candidates, those that win over others first."""
    by_usual_name = {name: loader for loader, name in usual.items()} | {
        name: loader for name, loader in _USUAL.items() if loader in usual
    }
    usual_names: list[Candidate] = []
    exports: list[Candidate] = []
    also: list[Candidate] = []
    checkpoints: list[Candidate] = []
    for name in names:
        suffix = PurePosixPath(name).suffix
        loader = by_usual_name.get(name) or _BY_SUFFIX.get(suffix)
        if backend in usual and loader != backend:
            if backend is not None and suffix in _ALSO_READS.get(backend, ()):
                also.append(Candidate(name, backend))
            continue
        if loader is None or loader not in usual or refusal(name):
            continue
        if name in by_usual_name:
            usual_names.append(Candidate(name, loader))
        elif "/" not in name or suffix == ".xml":
            (checkpoints if suffix == _LAST_RESORT else exports).append(Candidate(name, loader))
    return usual_names, exports, also, checkpoints


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _backend_of(name: str, what: str) -> str:
    loader = _BY_SUFFIX.get(PurePosixPath(name).suffix)
    if loader is None:
        _refuse([name], what)
        raise InvalidModel(f"{what}: nothing tells which backend loads {name!r}; name it with backend in config.pbtxt")
    return loader


def _several(candidates: Collection[Candidate], what: str) -> str:
    listed = " and ".join(f"{candidate.path} ({candidate.backend})" for candidate in candidates)
    first = next(iter(candidates)).path
    return (
        f"{what}: the version's folder holds more than one model file: {listed}; "
        f'leave one, or name it in config.pbtxt: default_model_filename: "{first}"'
    )


def _refuse(names: Collection[str], what: str) -> None:
    for name in names:
        refused = refusal(name)
        if refused is not None:
            kind, command = refused
            shown = PurePosixPath(name).parts[0]
            raise InvalidModel(f"{what}: {shown} is {kind}; it is not served. Export it with: {command}")
    weights = [name for name in names if PurePosixPath(name).suffix == ".bin"]
    if weights:
        raise InvalidModel(
            f"{what}: {weights[0]} holds weights without their network; put the .xml of the OpenVINO export beside it"
        )
