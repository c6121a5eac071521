"""A model that a client sends with its request to load it: a configuration, and files in place of the repository's."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pasarela_server.errors import InvalidRequest
from pasarela_server.repository.scan import CONFIG_FILE, ModelOnDisk, scan

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")


@dataclass(frozen=True, slots=True)
class LoadOverride:
    """What stands in for what lies in the repository."""

    config_text: str
    """Like the content of a config.pbtxt."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """By path in the model's folder, as `1/model.onnx`. If there are any, nothing is read from the repository."""


class OverrideStore:
    """Folders of models that clients have sent, one for each model. Frameworks map none of the files."""

    def __init__(self) -> None:
        self._folders: dict[str, Path] = {}

    def place(self, name: str, override: LoadOverride) -> ModelOnDisk:
        """Writes a model that was sent, in place of one that was sent before.

        Raises:
            InvalidRequest: The model's name, or that of a file, is none.
        """
        folder = Path(tempfile.mkdtemp(prefix="pasarela-model-"))
        try:
            write_override(folder, name, override)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.drop(name)
        self._folders[name] = folder
        (found,) = scan(folder)
        return found

    def drop(self, name: str) -> None:
        """Removes what was sent of a model, if anything was."""
        folder = self._folders.pop(name, None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Removes everything."""
        for name in list(self._folders):
            self.drop(name)


def write_override(root: Path, name: str, override: LoadOverride) -> None:
    """Writes a model that a client sent into an empty repository of its own.

    Raises:
        InvalidRequest: The model's name, or that of a file, is none.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(f"a model that is sent with its files cannot be called {name[:80]!r}")
    folder = root / name
    folder.mkdir()
    (folder / CONFIG_FILE).write_text(override.config_text, encoding="utf-8")
    for path, content in override.files.items():
        parts = PurePosixPath(path).parts
        if not parts or not all(_NAME.fullmatch(part) for part in parts) or len(parts) > 4:
            raise InvalidRequest(
                f"model {name!r}: file {path[:80]!r} is no path inside a model's folder; expected one like 1/model.onnx"
            )
        file = folder.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
