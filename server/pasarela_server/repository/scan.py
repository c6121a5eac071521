"""What lies on disk: models, their configuration texts and their versions. Nothing is opened but config.pbtxt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pasarela_server.errors import InvalidModel

CONFIG_FILE = "config.pbtxt"
_READ_TOO = ("version_labels.json", "warmup")
"""Beside config.pbtxt and the versions; label files are checked where they are read."""
_VERSION = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class ModelOnDisk:
    """One model's folder."""

    name: str
    folder: Path
    config_text: str | None = None
    """Content of its config.pbtxt; None if it has none."""
    versions: Mapping[int, Path] = field(default_factory=dict)
    """By number, lowest first: the folder of the version."""
    problem: str | None = None
    """Why the folder cannot be read; None if it can."""


def scan(root: Path, *, allow_empty: bool = False) -> tuple[ModelOnDisk, ...]:
    """Lists the models of a repository, by name.

    Hidden folders and plain files are no models. Sub-folders of a model that are not named by a positive whole number
    without leading zeros are no versions.

    Args:
        root: The repository's folder.
        allow_empty: Whether a repository without any model will do.

    Raises:
        InvalidModel: The repository is missing, no folder, unreadable, or empty although that is not allowed.
    """
    if not root.exists():
        raise InvalidModel(f"the model repository {str(root)!r} does not exist; name a folder that holds models")
    if not root.is_dir():
        raise InvalidModel(
            f"the model repository {str(root)!r} is a file; name the folder that holds <model>/<version>/<model file>"
        )
    try:
        folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise InvalidModel(f"the model repository {str(root)!r} cannot be read: {error.strerror}") from error
    if not folders and not allow_empty:
        raise InvalidModel(
            f"the model repository {str(root)!r} holds no models; put one there as <model>/<version>/<model file>, "
            "or allow an empty repository with --allow-empty-repository"
        )
    boundary = root.resolve()
    return tuple(_scan_model(folder, boundary) for folder in folders)


def _scan_model(folder: Path, boundary: Path) -> ModelOnDisk:
    try:
        _refuse_escape(folder, boundary)
        config_file = folder / CONFIG_FILE
        text = _read_config(config_file, boundary) if config_file.exists() or config_file.is_symlink() else None
        numbers = sorted(
            int(entry.name) for entry in folder.iterdir() if _VERSION.fullmatch(entry.name) and entry.is_dir()
        )
        versions = {number: folder / str(number) for number in numbers}
        for place in (*versions.values(), *(folder / name for name in _READ_TOO)):
            _refuse_escape(place, boundary)
            for file in place.rglob("*"):
                _refuse_escape(file, boundary)
    except InvalidModel as error:
        return ModelOnDisk(folder.name, folder, problem=str(error))
    except OSError as error:
        return ModelOnDisk(folder.name, folder, problem=f"model {folder.name!r} cannot be read: {error.strerror}")
    return ModelOnDisk(folder.name, folder, text, versions)


def _read_config(file: Path, boundary: Path) -> str:
    _refuse_escape(file, boundary)
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidModel(
            f"{file.parent.name}/{file.name}: byte {error.start} is no UTF-8; save the file as UTF-8 text"
        ) from error


def _refuse_escape(path: Path, boundary: Path) -> None:
    """Refuses a link that leads out of the repository: it would let a model's author read the server's files."""
    if path.is_symlink() and not path.resolve().is_relative_to(boundary):
        shown = path.absolute().relative_to(boundary) if path.absolute().is_relative_to(boundary) else path.name
        raise InvalidModel(f"{shown} is a link that leads out of the repository; copy what it points to")
